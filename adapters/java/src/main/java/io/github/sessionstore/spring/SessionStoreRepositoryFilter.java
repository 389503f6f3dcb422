package io.github.sessionstore.spring;

import java.io.IOException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.session.web.http.SessionRepositoryFilter;

/**
 * Spring Session's filter, which loads a session again when the answer has been sent,
 * only to compare ids. Around it, the repository remembers what this request has loaded,
 * and knows which session is the current one.
 */
public final class SessionStoreRepositoryFilter extends SessionRepositoryFilter<SessionStoreSession> {

	private final SessionStoreRepository repository;

	private final SessionRepositoryFilter<?> filter;

	/**
	 * Creates a filter.
	 * @param repository the repository
	 * @param filter Spring Session's, with its settings
	 */
	public SessionStoreRepositoryFilter(SessionStoreRepository repository, SessionRepositoryFilter<?> filter) {
		super(repository);
		this.repository = repository;
		this.filter = filter;
	}

	@Override
	protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
			throws IOException, ServletException {
		this.repository.beginRequest(response);
		try {
			this.filter.doFilter(request, response, (served, answer) -> {
				this.repository.serve((HttpServletRequest) served);
				chain.doFilter(served, answer);
			});
		}
		finally {
			this.repository.endRequest();
		}
	}

}
