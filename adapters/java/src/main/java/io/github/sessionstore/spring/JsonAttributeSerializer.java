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

	/** What jsonb would refuse, or looks like this, is kept as the text of the JSON. */
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
			JsonNode node = Json.read(json);
			return (json.contains(NUL) || isText(node)) ? JsonNodeFactory.instance.objectNode().put(TEXT, json) : node;
		}
		catch (JsonProcessingException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	@Override
	public Object deserialize(JsonNode json) {
		try {
			return this.mapper.readValue(isText(json) ? json.path(TEXT).textValue() : json.toString(), Object.class);
		}
		catch (JsonProcessingException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static boolean isText(JsonNode json) {
		return json.size() == 1 && json.path(TEXT).isTextual();
	}

}
