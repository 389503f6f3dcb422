package io.github.sessionstore.spring;

import java.time.Duration;
import java.time.Instant;

/**
 * What a session is besides its attributes. Requests rarely ask for it.
 */
record SessionDetails(Instant creationTime, Instant lastAccessedTime, Duration maxInactiveInterval) {

	private static final Duration NEVER = Duration.ofSeconds(-1);

	static SessionDetails asOfNow(Duration maxInactiveInterval) {
		Instant now = Instant.now();
		return new SessionDetails(now, now, maxInactiveInterval);
	}

	/** The expiry is rounded up, so that the last access would be in the future. */
	static SessionDetails of(Instant creationTime, Instant lastAccessedTime, long lifetime) {
		Instant now = Instant.now();
		Instant lastAccess = (lastAccessedTime == null || lastAccessedTime.isAfter(now)) ? now : lastAccessedTime;
		return new SessionDetails(creationTime, lastAccess, (lifetime == 0) ? NEVER : Duration.ofSeconds(lifetime));
	}

}
