package shop;

import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

import com.zaxxer.hikari.HikariDataSource;
import io.github.sessionstore.spring.PrincipalAttributesResolver;
import io.github.sessionstore.spring.SessionStoreRepository;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;

import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.session.SessionInformation;
import org.springframework.security.core.session.SessionRegistry;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.transaction.annotation.Transactional;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/**
 * An application whose users may be logged in twice.
 */
@SpringBootApplication
class Shop {

	@Bean
	SecurityFilterChain security(HttpSecurity http) throws Exception {
		return http.csrf(AbstractHttpConfigurer::disable)
			.authorizeHttpRequests(
					(requests) -> requests.requestMatchers("/account").authenticated().anyRequest().permitAll())
			.formLogin((login) -> login.successHandler((request, response, authentication) -> response.setStatus(200)))
			.logout((logout) -> logout
				.logoutSuccessHandler((request, response, authentication) -> response.setStatus(200)))
			.sessionManagement((sessions) -> sessions.maximumSessions(2))
			.build();
	}

	@Bean
	UserDetailsService users() {
		return (name) -> User.withUsername(name).password("{noop}secret").roles("USER").build();
	}

	@Bean
	PrincipalAttributesResolver browser(HttpServletRequest request) {
		return (session) -> Map.of("browser", Objects.toString(request.getHeader("User-Agent"), ""));
	}

	@RestController
	static class Pages {

		private final SessionRegistry registry;

		private final JdbcTemplate jdbc;

		private final SessionStoreRepository sessions;

		private final HikariDataSource pool;

		Pages(SessionRegistry registry, JdbcTemplate jdbc, SessionStoreRepository sessions, HikariDataSource pool) {
			this.registry = registry;
			this.jdbc = jdbc;
			this.sessions = sessions;
			this.pool = pool;
		}

		@GetMapping("/untouched")
		String untouched() {
			return "";
		}

		@GetMapping("/session")
		String session(HttpServletRequest request) {
			HttpSession session = request.getSession(false);
			return (session != null) ? String.valueOf(session.getAttribute("value")) : "none";
		}

		@PostMapping("/set")
		String set(@RequestParam String value, HttpSession session) {
			session.setAttribute("value", value);
			return "";
		}

		@GetMapping("/account")
		String account(Authentication user) {
			return user.getName();
		}

		/** The sessions of the user as the registry has them. */
		@GetMapping("/registry")
		String registry(Authentication user, HttpSession session) {
			return this.registry.getAllSessions(user.getPrincipal(), false)
				.stream()
				.map(SessionInformation::getSessionId)
				.map((id) -> id.equals(session.getId()) ? "this" : "other")
				.collect(Collectors.joining(" "));
		}

		@PostMapping("/expire_others")
		String expireOthers(Authentication user, HttpSession session) {
			this.registry.getAllSessions(user.getPrincipal(), false)
				.stream()
				.filter((information) -> !information.getSessionId().equals(session.getId()))
				.forEach(SessionInformation::expireNow);
			return "";
		}

		@PostMapping("/expire_this")
		String expireThis(HttpSession session) {
			this.registry.getSessionInformation(session.getId()).expireNow();
			return "";
		}

		/**
		 * What the transaction has done is undone, and the session is loaded within it.
		 */
		@PostMapping("/fail")
		@Transactional
		public String fail(@RequestParam String value, HttpServletRequest request) {
			this.jdbc.execute("CREATE TABLE undone ()");
			this.sessions.findById(request.getSession().getId());
			int inUse = this.pool.getHikariPoolMXBean().getActiveConnections();
			request.getSession().setAttribute("value", value + " " + inUse);
			throw new IllegalStateException("on purpose");
		}

		/** A login and a logout in one request. */
		@PostMapping("/renew_and_leave")
		String renewAndLeave(HttpServletRequest request) {
			request.changeSessionId();
			request.getSession().invalidate();
			return "";
		}

	}

}
