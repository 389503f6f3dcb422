package io.github.sessionstore.spring;

import java.util.List;
import java.util.UUID;

import io.github.sessionstore.spring.security.SessionStoreRegistry;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;
import org.junit.jupiter.api.Test;

import org.springframework.mock.web.MockHttpServletRequest;
import org.springframework.mock.web.MockHttpServletResponse;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.security.web.authentication.session.ConcurrentSessionControlAuthenticationStrategy;
import org.springframework.session.web.http.CookieHttpSessionIdResolver;
import org.springframework.session.web.http.HeaderHttpSessionIdResolver;
import org.springframework.session.web.http.HttpSessionIdResolver;
import org.springframework.session.web.http.SessionRepositoryFilter;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What is known within a request, where nothing but the filters of Spring Session is
 * around it.
 */
class RequestTests extends CountedTrips {

	private final SessionStoreRepository repository = Database.repository(pool);

	private final SessionStoreRegistry registry = new SessionStoreRegistry(this.repository);

	private Cookie[] cookies = {};

	interface Handler {

		void handle(HttpServletRequest request);

	}

	private MockHttpServletResponse ask(HttpSessionIdResolver resolver, MockHttpServletRequest request, Handler handler)
			throws Exception {
		SessionRepositoryFilter<SessionStoreSession> filter = new SessionRepositoryFilter<>(this.repository);
		filter.setHttpSessionIdResolver(resolver);
		MockHttpServletResponse response = new MockHttpServletResponse();
		new SessionStoreRepositoryFilter(this.repository, filter).doFilter(request, response,
				(served, answer) -> handler.handle((HttpServletRequest) served));
		return response;
	}

	private void visit(Handler handler) throws Exception {
		MockHttpServletRequest request = new MockHttpServletRequest();
		request.setCookies(this.cookies);
		MockHttpServletResponse response = ask(new CookieHttpSessionIdResolver(), request, handler);
		if (response.getCookies().length > 0) {
			this.cookies = response.getCookies();
		}
	}

	private void login(HttpServletRequest request, Authentication user) {
		HttpSession session = request.getSession();
		ConcurrentSessionControlAuthenticationStrategy strategy = new ConcurrentSessionControlAuthenticationStrategy(
				this.registry);
		strategy.setMaximumSessions(1);
		strategy.onAuthentication(user, request, new MockHttpServletResponse());
		request.changeSessionId();
		session.setAttribute("SPRING_SECURITY_CONTEXT", new SecurityContextImpl(user));
	}

	@Test
	void whoLogsInAgainInTheSameBrowserIsNotOneSessionTooMuch() throws Exception {
		String name = "user " + UUID.randomUUID();
		Authentication user = UsernamePasswordAuthenticationToken.authenticated(name, null, List.of());
		for (int i = 0; i < 3; i++) {
			visit((request) -> login(request, user));
			assertThat(this.repository.findByPrincipalName(name)).hasSize(1);
		}
		visit((request) -> {
			HttpSession session = request.getSession(false);
			assertThat(session.getAttribute("SPRING_SECURITY_CONTEXT")).isNotNull();
			assertThat(this.repository.getCurrentSession().getId()).isEqualTo(session.getId());
			counter.trips();
			assertThat(this.registry.getSessionInformation(session.getId()).getPrincipal()).isEqualTo(name);
			assertThat(counter.trips()).isZero();
		});
		assertThat(this.repository.getCurrentSession()).isNull();
	}

	@Test
	void theIdMayComeInAHeader() throws Exception {
		HttpSessionIdResolver resolver = HeaderHttpSessionIdResolver.xAuthToken();
		MockHttpServletResponse first = ask(resolver, new MockHttpServletRequest(),
				(request) -> request.getSession().setAttribute("a", "b"));
		String id = first.getHeader("X-Auth-Token");
		MockHttpServletRequest next = new MockHttpServletRequest();
		next.addHeader("X-Auth-Token", id);
		ask(resolver, next, (request) -> assertThat(request.getSession(false).getAttribute("a")).isEqualTo("b"));
		assertThat(Database.exists(id)).isTrue();
		assertThat(first.getCookies()).isEmpty();
	}

	@Test
	void whatHasBeenTakenIsNotInTheSessionAnyMore() throws Exception {
		visit((request) -> request.getSession().setAttribute("flash", "saved"));
		visit((request) -> {
			HttpSession session = request.getSession(false);
			assertThat(session.getAttribute("flash")).isEqualTo("saved");
			assertThat(this.repository.<String>popAttribute(session.getId(), "flash")).isEqualTo("saved");
			assertThat(session.getAttribute("flash")).isNull();
		});
		visit((request) -> assertThat(request.getSession(false).getAttribute("flash")).isNull());
	}

}
