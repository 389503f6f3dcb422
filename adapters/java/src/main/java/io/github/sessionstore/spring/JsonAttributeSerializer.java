package io.github.sessionstore.spring;

import java.io.UncheckedIOException;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;

/**
 * JSON by an {@link ObjectMapper}, which has to tell the types: for Spring Security give
 * it the modules of {@code SecurityJackson2Modules}.
 */
public final class JsonAttributeSerializer implements AttributeSerializer {

	/** What jsonb would refuse is kept as the text of the JSON. */
	private static final String TEXT = "@json";

	private static final String NUL = "\\u0000";

	private final ObjectMapper mapper;

	public JsonAttributeSerializer(ObjectMapper mapper) {
		this.mapper = mapper;
	}

	@Override
	public JsonNode serialize(Object value) {
		try {
			String json = this.mapper.writeValueAsString(value);
			return json.contains(NUL) ? JsonNodeFactory.instance.objectNode().put(TEXT, json) : Json.read(json);
		}
		catch (JsonProcessingException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	@Override
	public Object deserialize(JsonNode json) {
		boolean isText = json.size() == 1 && json.path(TEXT).isTextual();
		try {
			return this.mapper.readValue(isText ? json.path(TEXT).textValue() : json.toString(), Object.class);
		}
		catch (JsonProcessingException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}
