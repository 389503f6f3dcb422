package io.github.sessionstore.spring.boot;

import javax.sql.DataSource;

import io.github.sessionstore.spring.SessionStoreRepository;
import io.github.sessionstore.spring.config.SessionStoreHttpSessionConfiguration;
import io.github.sessionstore.spring.security.SessionStoreRegistry;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication.Type;
import org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration;
import org.springframework.boot.autoconfigure.session.SessionAutoConfiguration;
import org.springframework.boot.autoconfigure.session.SessionProperties;
import org.springframework.boot.autoconfigure.web.ServerProperties;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.context.properties.PropertyMapper;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.security.core.session.SessionRegistry;
import org.springframework.session.SessionRepository;
import org.springframework.session.config.SessionRepositoryCustomizer;

/**
 * Has the {@code HttpSession} in PostgreSQL where there is a {@link DataSource}, and no
 * other {@link SessionRepository}.
 */
@AutoConfiguration(after = DataSourceAutoConfiguration.class, before = SessionAutoConfiguration.class)
@ConditionalOnWebApplication(type = Type.SERVLET)
@ConditionalOnBean(DataSource.class)
@ConditionalOnMissingBean(SessionRepository.class)
@EnableConfigurationProperties({ ServerProperties.class, SessionProperties.class, SessionStoreProperties.class })
@Import(SessionStoreHttpSessionConfiguration.class)
public class SessionStoreAutoConfiguration {

	@Bean
	@Order(Ordered.HIGHEST_PRECEDENCE)
	SessionRepositoryCustomizer<SessionStoreRepository> sessionStorePropertiesCustomizer(SessionProperties session,
			SessionStoreProperties store, ServerProperties server) {
		return (repository) -> {
			PropertyMapper map = PropertyMapper.get().alwaysApplyingWhenNonNull();
			map.from(session.determineTimeout(() -> server.getServlet().getSession().getTimeout()))
				.to(repository::setDefaultMaxInactiveInterval);
			map.from(store::getFlushMode).to(repository::setFlushMode);
			map.from(store::getSaveMode).to(repository::setSaveMode);
		};
	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass(SessionRegistry.class)
	@ConditionalOnMissingBean(SessionRegistry.class)
	static class SessionRegistryConfiguration {

		@Bean
		SessionStoreRegistry sessionRegistry(SessionStoreRepository repository) {
			return new SessionStoreRegistry(repository);
		}

	}

}
