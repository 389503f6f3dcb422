package io.github.sessionstore.spring;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * How the values of attributes are kept in a session, which is one JSON object.
 *
 * @see JdkAttributeSerializer
 * @see JsonAttributeSerializer
 */
public interface AttributeSerializer {

	/**
	 * Returns the value as JSON that holds no U+0000, which PostgreSQL's {@code jsonb}
	 * refuses.
	 * @param value the value, never {@code null}
	 * @return the same for equal values, if that is possible: what did not change is not
	 * saved
	 */
	JsonNode serialize(Object value);

	/**
	 * Returns the value again.
	 * @param json what {@link #serialize(Object)} has made, or what somebody has written
	 * in SQL
	 * @return the value
	 */
	Object deserialize(JsonNode json);

}
