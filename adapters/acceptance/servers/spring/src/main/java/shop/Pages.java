package shop;

import java.io.IOException;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import io.github.sessionstore.spring.SessionStoreRepository;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;

import org.springframework.security.core.Authentication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@RestController
class Pages {

	private static final String PREFIX = "set.";

	private final SessionStoreRepository sessions;

	Pages(SessionStoreRepository sessions) {
		this.sessions = sessions;
	}

	static void answer(HttpServletResponse response) throws IOException {
		response.setContentType("application/json");
		response.getWriter().write("{}");
	}

	/** Between loading the session and changing it. */
	static void loadAndWait(HttpServletRequest request) {
		request.getSession(false);
		String milliseconds = request.getParameter("wait");
		try {
			Thread.sleep((milliseconds != null) ? Long.parseLong(milliseconds) : 0);
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	@GetMapping("/untouched")
	Map<String, Object> untouched() {
		return Map.of();
	}

	@GetMapping("/session")
	Map<String, Object> session(HttpServletRequest request) {
		Map<String, Object> data = new HashMap<>();
		HttpSession session = request.getSession(false);
		if (session != null) {
			for (String name : Collections.list(session.getAttributeNames())) {
				if (name.startsWith(PREFIX)) {
					data.put(name.substring(PREFIX.length()), session.getAttribute(name));
				}
			}
		}
		return Map.of("data", data);
	}

	@PostMapping("/set")
	Map<String, Object> set(@RequestParam String key, @RequestParam String value, HttpServletRequest request) {
		loadAndWait(request);
		request.getSession().setAttribute(PREFIX + key, value);
		return Map.of();
	}

	@PostMapping("/unset")
	Map<String, Object> unset(@RequestParam String key, HttpServletRequest request) {
		loadAndWait(request);
		HttpSession session = request.getSession(false);
		if (session != null) {
			session.removeAttribute(PREFIX + key);
		}
		return Map.of();
	}

	@GetMapping("/whoami")
	Map<String, Object> whoAmI(Authentication user) {
		return Collections.singletonMap("user", (user != null) ? user.getName() : null);
	}

	@PostMapping("/flash")
	Map<String, Object> flash(@RequestParam String message, HttpServletRequest request) {
		request.getSession().setAttribute("flash", message);
		return Map.of();
	}

	@GetMapping("/flash")
	Map<String, Object> flashed(HttpServletRequest request) {
		HttpSession session = request.getSession(false);
		boolean isThere = session != null && session.getAttribute("flash") != null;
		String message = isThere ? this.sessions.popAttribute(session.getId(), "flash") : null;
		return Collections.singletonMap("message", message);
	}

	@GetMapping("/devices")
	Map<String, Object> devices(HttpServletRequest request) {
		HttpSession session = request.getSession(false);
		List<Map<String, Object>> devices = (session == null) ? List.of()
				: this.sessions.findDevices(session.getId())
					.stream()
					.map((device) -> Map.of("handle", device.handle(), "is_this", device.current(), "attributes",
							device.attributes(), "last_seen", device.lastAccessedTime()))
					.toList();
		return Map.of("devices", devices);
	}

	@PostMapping("/revoke")
	Map<String, Object> revoke(@RequestParam String handle, HttpServletRequest request) {
		HttpSession session = request.getSession(false);
		return Map.of("revoked", session != null && this.sessions.revoke(session.getId(), handle));
	}

	@PostMapping("/revoke_others")
	Map<String, Object> revokeOthers(HttpServletRequest request) {
		HttpSession session = request.getSession(false);
		return Map.of("revoked", (session != null) ? this.sessions.revokeOthers(session.getId()).size() : 0);
	}

}
