package io.github.sessionstore.spring;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

import com.fasterxml.jackson.databind.JsonNode;

import org.springframework.session.SaveMode;

/**
 * A session's attributes, and what of them has changed since it was loaded. A value is
 * decoded when it is first asked for.
 */
final class SessionAttributes {

	private final AttributeSerializer serializer;

	private final Map<String, JsonNode> stored;

	private final Map<String, Object> values = new HashMap<>();

	/** The names of values that were set, or removed: these are null. */
	private final Set<String> set = new HashSet<>();

	SessionAttributes(AttributeSerializer serializer, Map<String, JsonNode> stored) {
		this.serializer = serializer;
		this.stored = new HashMap<>(stored);
		this.stored.values().removeIf(JsonNode::isNull);
	}

	Object get(String name) {
		if (!this.values.containsKey(name) && this.stored.containsKey(name)) {
			this.values.put(name, this.serializer.deserialize(this.stored.get(name)));
		}
		return this.values.get(name);
	}

	/** As the database has them. */
	SessionAttributes stored() {
		return new SessionAttributes(this.serializer, this.stored);
	}

	void set(String name, Object value) {
		this.values.put(name, value);
		this.set.add(name);
	}

	Set<String> names() {
		Set<String> names = new HashSet<>(this.stored.keySet());
		this.values.forEach((name, value) -> {
			if (value == null) {
				names.remove(name);
			}
			else {
				names.add(name);
			}
		});
		return names;
	}

	/**
	 * Compares with what is stored. A value that nobody has asked for cannot have
	 * changed, so that to save "always" is to look at those that somebody has.
	 */
	Changes changes(SaveMode saveMode) {
		Changes changes = new Changes(new HashMap<>(), new ArrayList<>());
		for (String name : (saveMode == SaveMode.ON_SET_ATTRIBUTE) ? this.set : this.values.keySet()) {
			Object value = this.values.get(name);
			JsonNode before = this.stored.get(name);
			JsonNode after = (value != null) ? this.serializer.serialize(value) : null;
			if (after != null && !after.equals(before)) {
				changes.patch().put(name, after);
			}
			else if (after == null && before != null) {
				changes.removed().add(name);
			}
		}
		return changes;
	}

	void saved(Changes changes) {
		this.stored.putAll(changes.patch());
		this.stored.keySet().removeAll(changes.removed());
		this.set.clear();
	}

	/** The database has dropped one. */
	void forget(String name) {
		this.stored.remove(name);
		this.values.remove(name);
		this.set.remove(name);
	}

	/**
	 * The database has dropped what is stored. What was set stays, and is to be saved.
	 */
	void forgetStored() {
		this.stored.clear();
		this.values.keySet().retainAll(this.set);
	}

	record Changes(Map<String, JsonNode> patch, List<String> removed) {

		Stream<String> names() {
			return Stream.concat(this.patch.keySet().stream(), this.removed.stream());
		}

		boolean isEmpty() {
			return this.patch.isEmpty() && this.removed.isEmpty();
		}

	}

}
