package shop;

import java.io.IOException;

import io.github.sessionstore.spring.SessionStoreRepository;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;

import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.core.annotation.Order;
import org.springframework.session.web.http.CookieSerializer;
import org.springframework.session.web.http.CookieSerializer.CookieValue;
import org.springframework.session.web.http.SessionRepositoryFilter;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.util.ContentCachingResponseWrapper;

/**
 * Spring Session sends a cookie when the id changes. This sends it again with each answer,
 * if the session is still there.
 */
@Component
@ConditionalOnProperty(name = "rolling", havingValue = "yes")
@Order(SessionRepositoryFilter.DEFAULT_ORDER + 1)
class RollingCookie extends OncePerRequestFilter {

	private final SessionStoreRepository sessions;

	private final CookieSerializer cookies;

	RollingCookie(SessionStoreRepository sessions, CookieSerializer cookies) {
		this.sessions = sessions;
		this.cookies = cookies;
	}

	@Override
	protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
			throws ServletException, IOException {
		ContentCachingResponseWrapper answer = new ContentCachingResponseWrapper(response);
		chain.doFilter(request, answer);
		HttpSession session = request.getSession(false);
		if (session != null && session.getId().equals(request.getRequestedSessionId())
				&& this.sessions.findById(session.getId()) != null) {
			this.cookies.writeCookieValue(new CookieValue(request, answer, session.getId()));
		}
		answer.copyBodyToResponse();
	}

}
