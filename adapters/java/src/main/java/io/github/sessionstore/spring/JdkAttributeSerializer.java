package io.github.sessionstore.spring;

import java.util.Base64;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.TextNode;

import org.springframework.core.serializer.support.DeserializingConverter;
import org.springframework.core.serializer.support.SerializingConverter;

/**
 * Java's own serialization, as in Spring Session JDBC: {@code {"@java": "…"}}, in base64.
 * Text is JSON text, so that it can be read in SQL. What else somebody has written in SQL
 * is read as what JSON has for it: maps, lists, numbers.
 */
public final class JdkAttributeSerializer implements AttributeSerializer {

	private static final String SERIALIZED = "@java";

	private final SerializingConverter serializer = new SerializingConverter();

	private final DeserializingConverter deserializer;

	/**
	 * Creates a serializer.
	 * @param classLoader where the classes of the values are
	 */
	public JdkAttributeSerializer(ClassLoader classLoader) {
		this.deserializer = new DeserializingConverter(classLoader);
	}

	@Override
	public JsonNode serialize(Object value) {
		if (value instanceof String text && text.indexOf('\0') < 0) {
			return TextNode.valueOf(text);
		}
		String base64 = Base64.getEncoder().encodeToString(this.serializer.convert(value));
		return JsonNodeFactory.instance.objectNode().put(SERIALIZED, base64);
	}

	@Override
	public Object deserialize(JsonNode json) {
		if (json.isTextual()) {
			return json.textValue();
		}
		if (json.size() == 1 && json.path(SERIALIZED).isTextual()) {
			return this.deserializer.convert(Base64.getDecoder().decode(json.path(SERIALIZED).textValue()));
		}
		return Json.plain(json);
	}

}
