package io.github.sessionstore.spring.boot;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.session.FlushMode;
import org.springframework.session.SaveMode;

/**
 * What Spring Boot's own properties for sessions do not have.
 */
@ConfigurationProperties("session-store")
public class SessionStoreProperties {

	/**
	 * When changes of a session are saved.
	 */
	private FlushMode flushMode = FlushMode.ON_SAVE;

	/**
	 * Which attributes of a session are looked at for changes.
	 */
	private SaveMode saveMode = SaveMode.ON_SET_ATTRIBUTE;

	public FlushMode getFlushMode() {
		return this.flushMode;
	}

	public void setFlushMode(FlushMode flushMode) {
		this.flushMode = flushMode;
	}

	public SaveMode getSaveMode() {
		return this.saveMode;
	}

	public void setSaveMode(SaveMode saveMode) {
		this.saveMode = saveMode;
	}

}
