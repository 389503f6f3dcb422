package shop;

import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.UUID;

import io.github.sessionstore.spring.Database;
import io.github.sessionstore.spring.SessionStoreRepository;
import io.github.sessionstore.spring.TripCounter;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.security.core.session.SessionInformation;
import org.springframework.security.core.session.SessionRegistry;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * A Spring Boot application with Spring Security, which allows each user two sessions.
 */
@SpringBootTest(webEnvironment = WebEnvironment.RANDOM_PORT, properties = { "spring.session.timeout=20m",
		"session-store.save-mode=on-get-attribute", "spring.datasource.hikari.maximum-pool-size=2" })
class HttpTests {

	private static TripCounter counter;

	private final String user = "user " + UUID.randomUUID();

	@LocalServerPort
	private int port;

	@Autowired
	private SessionRegistry registry;

	@Autowired
	private SessionStoreRepository sessions;

	@DynamicPropertySource
	static void address(DynamicPropertyRegistry properties) throws Exception {
		counter = new TripCounter();
		properties.add("spring.datasource.url", () -> Database.url(counter.port()));
	}

	@BeforeEach
	void noSessions() {
		Database.clear();
	}

	private Browser browser(String name) {
		return new Browser(this.port, name);
	}

	private Browser loggedIn(String name) {
		Browser browser = browser(name);
		assertThat(browser.login(this.user).statusCode()).isEqualTo(200);
		return browser;
	}

	private static String id(Browser browser) {
		return new String(Base64.getDecoder().decode(browser.cookie()));
	}

	private boolean isLoggedIn(Browser browser) {
		HttpResponse<String> answer = browser.ask("GET", "/account");
		assertThat(answer.statusCode()).isIn(200, 302);
		return answer.statusCode() == 200;
	}

	private int trips(Runnable task) throws InterruptedException {
		this.sessions.findById("nothing");
		counter.trips();
		task.run();
		Thread.sleep(50); // a filter may ask when the answer is here already
		return counter.trips();
	}

	@Test
	void aVisitWithoutASessionLeavesNothing() throws Exception {
		Browser browser = browser("Firefox");
		assertThat(trips(() -> browser.get("/session"))).isZero();
		assertThat(browser.cookie()).isNull();
		assertThat(Database.rows()).isZero();
	}

	@Test
	void aVisitCostsOneTripAndAChangeTwo() throws Exception {
		Browser browser = loggedIn("Firefox");
		browser.post("/set?value=umbrella");
		Database.awaitEarlyInAMinute();
		browser.get("/session");
		String place = Database.place(id(browser));
		assertThat(trips(() -> browser.get("/session"))).isEqualTo(1);
		assertThat(trips(() -> browser.get("/account"))).isEqualTo(1);
		assertThat(trips(() -> browser.post("/set?value=umbrella"))).isEqualTo(1);
		assertThat(Database.place(id(browser))).isEqualTo(place);
		assertThat(trips(() -> browser.post("/set?value=boots"))).isEqualTo(2);
		assertThat(browser.get("/session")).isEqualTo("boots");
	}

	@Test
	void aLoginRenewsTheIdAndBindsTheSession() throws Exception {
		Browser browser = browser("Firefox");
		browser.post("/set?value=umbrella");
		Browser before = browser.tab();
		assertThat(Database.column(id(browser), "lifetime", Integer.class))
			.isEqualTo(Duration.ofMinutes(20).toSeconds());
		// to load, to ask how many sessions there are, and to save
		assertThat(trips(() -> browser.login(this.user))).isEqualTo(3);
		assertThat(browser.cookie()).isNotEqualTo(before.cookie());
		assertThat(browser.get("/account")).isEqualTo(this.user);
		assertThat(browser.get("/session")).isEqualTo("umbrella");
		assertThat(before.get("/session")).isEqualTo("none");
		assertThat(Database.principal(id(browser))).isEqualTo(this.user);
		assertThat(Database.column(id(browser), "attributes->>'browser'", String.class)).isEqualTo("Firefox");
		this.sessions.revokeAll(this.user);
		assertThat(isLoggedIn(browser)).isFalse();
	}

	@Test
	void aLogoutEndsTheSession() {
		Browser browser = loggedIn("Firefox");
		Browser before = browser.tab();
		browser.post("/logout");
		assertThat(browser.cookie()).isNull();
		assertThat(Database.rows()).isZero();
		assertThat(isLoggedIn(before)).isFalse();
	}

	@Test
	void aLogoutInTheRequestThatRenewsTheIdEndsTheSession() {
		Browser browser = loggedIn("Firefox");
		browser.post("/renew_and_leave");
		assertThat(Database.rows()).isZero();
	}

	@Test
	void ofMoreSessionsThanAreAllowedTheLongestUnusedEnds() {
		Browser first = loggedIn("first");
		Browser second = loggedIn("second");
		assertThat(List.of(isLoggedIn(first), isLoggedIn(second))).containsExactly(true, true);
		Browser third = loggedIn("third");
		assertThat(List.of(isLoggedIn(first), isLoggedIn(second), isLoggedIn(third))).containsExactly(false, true,
				true);
		Browser stranger = browser("stranger");
		stranger.login(this.user + "'s neighbour");
		assertThat(List.of(isLoggedIn(second), isLoggedIn(third), isLoggedIn(stranger))).containsOnly(true);
	}

	@Test
	void whoLogsInAgainInTheSameBrowserLogsNobodyOut() {
		Browser first = loggedIn("first");
		Browser second = loggedIn("second");
		second.login(this.user);
		assertThat(List.of(isLoggedIn(first), isLoggedIn(second))).containsExactly(true, true);
		assertThat(Database.rows()).isEqualTo(2);
	}

	@Test
	void theRegistryKnowsTheCurrentSessionByItsIdAndTheOthersByTheirHandles() {
		Browser first = loggedIn("first");
		Browser second = loggedIn("second");
		assertThat(first.get("/registry").split(" ")).containsExactlyInAnyOrder("this", "other");
		List<SessionInformation> all = this.registry.getAllSessions(this.user, false);
		assertThat(all).extracting(SessionInformation::getSessionId)
			.doesNotContain(id(first), id(second))
			.allMatch((id) -> this.registry.getSessionInformation(id) == null);
		assertThat(all).extracting(SessionInformation::getPrincipal).containsOnly(this.user);
		SessionInformation known = this.registry.getSessionInformation(id(first));
		assertThat(known.getPrincipal()).isEqualTo(this.user);
		known.expireNow();
		assertThat(List.of(isLoggedIn(first), isLoggedIn(second))).containsExactly(false, true);
	}

	@Test
	void whatTheRegistryExpiresIsOver() {
		Browser first = loggedIn("first");
		Browser second = loggedIn("second");
		first.post("/expire_others");
		assertThat(Database.rows()).isEqualTo(1);
		assertThat(List.of(isLoggedIn(first), isLoggedIn(second))).containsExactly(true, false);
		first.post("/expire_this");
		assertThat(isLoggedIn(first)).isFalse();
	}

	@Test
	void theTransactionOfACallerIsNotTheSessions() {
		Browser browser = browser("Firefox");
		browser.post("/set?value=umbrella");
		assertThat(browser.ask("POST", "/fail?value=boots").statusCode()).isEqualTo(500);
		assertThat(browser.get("/session")).isEqualTo("boots 1");
		assertThat(Database.OWNER.queryForObject("SELECT to_regclass('undone')", String.class)).isNull();
	}

	@Test
	void aLateAnswerSetsNoCookieAfterALogin() {
		Browser browser = browser("Firefox");
		browser.post("/set?value=umbrella");
		Browser late = browser.tab();
		browser.login(this.user);
		assertThat(late.ask("GET", "/session").headers().firstValue("Set-Cookie")).isEmpty();
	}

}
