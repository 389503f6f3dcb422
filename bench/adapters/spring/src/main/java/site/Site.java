package site;

import io.github.sessionstore.spring.boot.SessionStoreAutoConfiguration;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;

import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/**
 * The requests of ../load on Spring Boot, with the store that STORE names.
 */
@SpringBootApplication
@RestController
public class Site {

	public static void main(String[] arguments) {
		SpringApplicationBuilder site = new SpringApplicationBuilder(Site.class);
		if (!"session_store".equals(System.getenv("STORE"))) {
			site.properties("spring.autoconfigure.exclude=" + SessionStoreAutoConfiguration.class.getName());
		}
		site.run(arguments);
	}

	/** What the session holds, so that the caller sees that the store has done its work. */
	private static String seen(HttpSession session) {
		Object seen = (session != null) ? session.getAttribute("seen") : null;
		return (seen != null) ? (String) seen : "none";
	}

	@GetMapping("/untouched")
	String untouched() {
		return "none";
	}

	@GetMapping("/read")
	String read(HttpServletRequest request) {
		return seen(request.getSession(false));
	}

	@PostMapping("/write")
	String write(@RequestParam("seen") String seen, HttpSession session) {
		session.setAttribute("seen", seen);
		return seen(session);
	}

	@PostMapping("/first")
	String first(@RequestParam("seen") String seen, HttpSession session) {
		for (int i = 0; i < 10; i++) {
			session.setAttribute("key" + i, "value %d of %s ".formatted(i, seen).repeat(3));
		}
		return write(seen, session);
	}

	/** As Spring Security does it. */
	@PostMapping("/login")
	String login(@RequestParam("user") String user, HttpServletRequest request) {
		request.changeSessionId();
		request.getSession().setAttribute(FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME, user);
		return seen(request.getSession());
	}

	@PostMapping("/logout")
	String logout(HttpSession session) {
		session.invalidate();
		return "none";
	}

}
