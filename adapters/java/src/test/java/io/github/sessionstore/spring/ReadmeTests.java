package io.github.sessionstore.spring;

import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

import com.zaxxer.hikari.HikariDataSource;
import io.github.sessionstore.spring.security.SessionStoreRegistry;
import jakarta.servlet.http.HttpServletRequest;
import org.junit.jupiter.api.Test;

import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configuration.EnableWebSecurity;
import org.springframework.security.core.session.SessionRegistry;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.session.ConcurrentSessionFilter;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.test.util.ReflectionTestUtils;

import static org.assertj.core.api.Assertions.assertThat;
import static org.springframework.security.config.Customizer.withDefaults;

/**
 * The code in the README is that of the tests, which run it.
 */
class ReadmeTests {

	private SessionStoreRepository sessions;

	record Cart(List<String> things) implements Serializable {
	}

	@Configuration
	@EnableWebSecurity
	static class SecurityConfig {

		@Bean
		SecurityFilterChain security(HttpSecurity http) throws Exception {
			return http.formLogin(withDefaults()).sessionManagement((sessions) -> sessions.maximumSessions(2)).build();
		}

		@Bean
		PrincipalAttributesResolver browser(HttpServletRequest request) {
			return (session) -> Map.of("browser", Objects.toString(request.getHeader("User-Agent"), ""));
		}

	}

	@Test
	void theCodeIsThatOfTheTests() throws IOException {
		List<String> sources;
		try (Stream<Path> paths = Files.walk(Path.of("src/test/java"))) {
			sources = paths.filter(Files::isRegularFile).map(Readme::read).map(Readme::squeeze).toList();
		}
		List<String> blocks = Readme.blocks("java");
		assertThat(blocks).hasSize(4);
		for (String block : blocks) {
			for (String part : block.split("\n\n(?=@)")) {
				assertThat(sources).anyMatch((source) -> source.contains(Readme.squeeze(part)));
			}
		}
	}

	@Test
	void theDependencyIsThisPackage() {
		String pom = Readme.squeeze(Readme.read(Path.of("pom.xml")));
		String dependency = Readme.squeeze(Readme.block("xml", 0)).replaceAll("</?dependency>", "");
		assertThat(pom).contains(dependency);
	}

	@Test
	void springSecurityTakesTheRegistry() {
		SessionStoreRegistry registry = new SessionStoreRegistry(Database.repository(new DriverManagerDataSource()));
		new WebApplicationContextRunner().withUserConfiguration(SecurityConfig.class)
			.withBean(SessionRegistry.class, () -> registry)
			.run((context) -> assertThat(context.getBean(SecurityFilterChain.class).getFilters())
				.filteredOn(ConcurrentSessionFilter.class::isInstance)
				.extracting((filter) -> ReflectionTestUtils.getField(filter, "sessionRegistry"))
				.containsExactly(registry));
	}

	@Test
	void devicesAreListedAndRevoked() {
		try (HikariDataSource pool = Database.pool(Database.port())) {
			this.sessions = Database.repository(pool);
			SessionStoreSession session = login();
			session.setAttribute("cart", new Cart(List.of("umbrella")));
			this.sessions.save(session);
			login();
			login();
			List<Device> devices = this.sessions.findDevices(session.getId()); // a
																				// SessionStoreRepository
			boolean revoked = this.sessions.revoke(session.getId(), devices.get(1).handle());
			List<String> handles = this.sessions.revokeOthers(session.getId()); // when
																				// the
																				// password
																				// changes
			Cart cart = this.sessions.popAttribute(session.getId(), "cart"); // of
																				// parallel
																				// requests
																				// one
																				// gets it
			assertThat(devices).hasSize(3);
			assertThat(revoked).isTrue();
			assertThat(handles).containsExactly(devices.get(2).handle());
			assertThat(cart.things()).containsExactly("umbrella");
		}
	}

	private SessionStoreSession login() {
		SessionStoreSession session = this.sessions.createSession();
		session.setAttribute(FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME, "reader of the README");
		this.sessions.save(session);
		return session;
	}

}
