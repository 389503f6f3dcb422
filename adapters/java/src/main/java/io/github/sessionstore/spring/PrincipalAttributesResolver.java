package io.github.sessionstore.spring;

import java.util.Map;

import org.springframework.session.Session;

/**
 * What is kept beside the principal of a session, for lists of devices: the browser, say.
 * It is asked within the request that logs in.
 */
@FunctionalInterface
public interface PrincipalAttributesResolver {

	/**
	 * Returns what to keep.
	 * @param session the session that becomes the principal's
	 * @return values that JSON has, 8 kB at most
	 */
	Map<String, ?> resolveAttributesFor(Session session);

}
