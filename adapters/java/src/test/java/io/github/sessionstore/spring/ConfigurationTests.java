package io.github.sessionstore.spring;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;

import javax.sql.DataSource;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sessionstore.spring.boot.SessionStoreAutoConfiguration;
import io.github.sessionstore.spring.config.EnableSessionStoreHttpSession;
import io.github.sessionstore.spring.security.SessionStoreRegistry;
import org.junit.jupiter.api.Test;

import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration;
import org.springframework.boot.autoconfigure.jdbc.DataSourceTransactionManagerAutoConfiguration;
import org.springframework.boot.autoconfigure.session.SessionAutoConfiguration;
import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.security.core.session.SessionRegistry;
import org.springframework.security.jackson2.SecurityJackson2Modules;
import org.springframework.session.FlushMode;
import org.springframework.session.MapSessionRepository;
import org.springframework.session.SessionIdGenerator;
import org.springframework.session.SessionRepository;
import org.springframework.session.web.http.SessionRepositoryFilter;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What the configuration makes of its options, with Spring Boot and without.
 */
class ConfigurationTests {

	private final WebApplicationContextRunner plain = new WebApplicationContextRunner().withBean(DataSource.class,
			() -> Database.pool(Database.port()));

	private final WebApplicationContextRunner boot = this.plain.withConfiguration(AutoConfigurations.of(
			DataSourceAutoConfiguration.class, DataSourceTransactionManagerAutoConfiguration.class,
			SessionAutoConfiguration.class, SessionStoreAutoConfiguration.class));

	@Configuration
	@EnableSessionStoreHttpSession(maxInactiveIntervalInSeconds = 3600)
	static class SessionConfig {

	}

	@Configuration
	@EnableSessionStoreHttpSession(flushMode = FlushMode.IMMEDIATE)
	static class ImmediateConfig {

	}

	@Configuration
	static class JsonConfig {

		@Bean
		AttributeSerializer attributeSerializer() {
			ObjectMapper mapper = new ObjectMapper();
			mapper.registerModules(SecurityJackson2Modules.getModules(getClass().getClassLoader()));
			return new JsonAttributeSerializer(mapper);
		}

		@Bean
		SessionIdGenerator sessionIdGenerator() {
			return () -> "made " + System.nanoTime();
		}

	}

	private static SessionStoreSession saved(SessionStoreRepository repository) {
		SessionStoreSession session = repository.createSession();
		session.setAttribute("cart", List.of("umbrella"));
		repository.save(session);
		return session;
	}

	@Test
	void theAnnotationIsEnoughWithoutBoot() {
		this.plain.withUserConfiguration(SessionConfig.class).run((context) -> {
			SessionStoreRepository repository = context.getBean(SessionStoreRepository.class);
			assertThat(saved(repository).getMaxInactiveInterval()).isEqualTo(Duration.ofHours(1));
			assertThat(context.getBean("springSessionRepositoryFilter")).isInstanceOf(SessionRepositoryFilter.class);
		});
		this.plain.withUserConfiguration(ImmediateConfig.class).run((context) -> {
			SessionStoreSession session = context.getBean(SessionStoreRepository.class).createSession();
			assertThat(Database.exists(session.getId())).isTrue();
			assertThat(session.getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
		});
	}

	@Test
	void bootNeedsNothing() {
		this.boot.run((context) -> {
			assertThat(context.getBean(SessionRepository.class)).isInstanceOf(SessionStoreRepository.class);
			assertThat(context.getBean(SessionRegistry.class)).isInstanceOf(SessionStoreRegistry.class);
			SessionStoreRepository repository = context.getBean(SessionStoreRepository.class);
			SessionStoreSession session = saved(repository);
			assertThat(session.getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
			assertThat(repository.flushesImmediately()).isFalse();
		});
	}

	@Test
	void propertiesAreThoseOfTheReadme() {
		String[] properties = Readme.block("properties", 0).split("\n");
		this.boot.withPropertyValues(properties).run((context) -> {
			SessionStoreRepository repository = context.getBean(SessionStoreRepository.class);
			assertThat(saved(repository).getMaxInactiveInterval()).isEqualTo(Duration.ofHours(12));
		});
		this.boot
			.withPropertyValues("server.servlet.session.timeout=2h", "session-store.flush-mode=immediate",
					"session-store.save-mode=always")
			.run((context) -> {
				SessionStoreRepository repository = context.getBean(SessionStoreRepository.class);
				assertThat(repository.createSession().getMaxInactiveInterval()).isEqualTo(Duration.ofHours(2));
				assertThat(repository.flushesImmediately()).isTrue();
				assertThat(repository.getSaveMode()).hasToString("ALWAYS");
			});
	}

	@Test
	void whoHasARepositoryKeepsIt() {
		this.boot.withBean(MapSessionRepository.class, () -> new MapSessionRepository(new HashMap<>()))
			.run((context) -> assertThat(context).doesNotHaveBean(SessionStoreRepository.class));
	}

	@Test
	void valuesAreJsonIfTheApplicationSaysSo() {
		this.boot.withUserConfiguration(JsonConfig.class).run((context) -> {
			SessionStoreRepository repository = context.getBean(SessionStoreRepository.class);
			SessionStoreSession session = repository.createSession();
			assertThat(session.getId()).startsWith("made ");
			session.setAttribute("text", "ü");
			session.setAttribute("nul", "a\0b");
			session.setAttribute("number", 1.10);
			session.setAttribute("SPRING_SECURITY_CONTEXT", new SecurityContextImpl(
					UsernamePasswordAuthenticationToken.authenticated("ada", "secret", List.of())));
			repository.save(session);
			assertThat(Database.content(session.getId())).containsEntry("text", "ü")
				.containsEntry("number", new BigDecimal("1.1"));
			assertThat(Database.principal(session.getId())).isEqualTo("ada");
			SessionStoreSession found = repository.findById(session.getId());
			assertThat(found.<String>getAttribute("text")).isEqualTo("ü");
			assertThat(found.<String>getAttribute("nul")).isEqualTo("a\0b");
			assertThat(found.<Double>getAttribute("number")).isEqualTo(1.1);
			assertThat(found.<SecurityContext>getAttribute("SPRING_SECURITY_CONTEXT").getAuthentication().getName())
				.isEqualTo("ada");
			assertThat(found.getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
		});
	}

}
