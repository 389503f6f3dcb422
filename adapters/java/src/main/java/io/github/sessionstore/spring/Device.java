package io.github.sessionstore.spring;

import java.time.Instant;
import java.util.Map;

/**
 * A session as its principal sees it among the others.
 *
 * @param handle names it, and is no id
 * @param current whether it is the one that asks
 * @param attributes what {@link PrincipalAttributesResolver} has said
 * @param creationTime when it began
 * @param authenticatedTime when its principal logged in
 * @param lastAccessedTime when it was used last, to about a minute; {@code null} if it
 * has no idle limit
 */
public record Device(String handle, boolean current, Map<String, Object> attributes, Instant creationTime,
		Instant authenticatedTime, Instant lastAccessedTime) {
}
