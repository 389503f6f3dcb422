package io.github.sessionstore.spring.config;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

import org.springframework.context.annotation.Import;
import org.springframework.session.FlushMode;
import org.springframework.session.MapSession;
import org.springframework.session.SaveMode;

/**
 * Add this to a configuration class to have the {@code HttpSession} in PostgreSQL. It
 * needs a {@code DataSource} bean.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
@Documented
@Import(SessionStoreHttpSessionConfiguration.class)
public @interface EnableSessionStoreHttpSession {

	/**
	 * For how many seconds a session lasts without being used.
	 * @return the seconds, 1800 (30 minutes) by default; negative for ever
	 */
	int maxInactiveIntervalInSeconds() default MapSession.DEFAULT_MAX_INACTIVE_INTERVAL_SECONDS;

	/**
	 * When changes are saved.
	 * @return the flush mode
	 */
	FlushMode flushMode() default FlushMode.ON_SAVE;

	/**
	 * Which attributes are looked at for changes.
	 * @return the save mode
	 */
	SaveMode saveMode() default SaveMode.ON_SET_ATTRIBUTE;

}
