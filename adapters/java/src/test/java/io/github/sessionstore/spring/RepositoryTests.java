package io.github.sessionstore.spring;

import java.io.Serializable;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import org.springframework.dao.DuplicateKeyException;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.session.FindByIndexNameSessionRepository;
import org.springframework.session.FlushMode;
import org.springframework.session.SaveMode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * What is loaded and saved, and by how many statements.
 */
class RepositoryTests extends CountedTrips {

	private static final String CONTEXT = "SPRING_SECURITY_CONTEXT";

	private static final String PRINCIPAL = FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME;

	private final String user = "user " + UUID.randomUUID();

	private SessionStoreRepository repository;

	record Cart(List<String> things, double price) implements Serializable {
	}

	@BeforeEach
	void begin() {
		this.repository = Database.repository(pool);
	}

	private SessionStoreSession saved(String name, Object value) {
		SessionStoreSession session = this.repository.createSession();
		session.setAttribute(name, value);
		this.repository.save(session);
		return session;
	}

	private SessionStoreSession load(SessionStoreSession session) {
		return this.repository.findById(session.getId());
	}

	private static SecurityContextImpl context(String name) {
		return new SecurityContextImpl(UsernamePasswordAuthenticationToken.authenticated(name, null, List.of()));
	}

	/** Of a pool whose connections are known to be alive. */
	private int trips(Runnable task) {
		this.repository.findById("nothing");
		counter.trips();
		task.run();
		return counter.trips();
	}

	// Attributes

	@Test
	void whatWasSavedIsFound() {
		Cart cart = new Cart(List.of("umbrella"), 9.5);
		SessionStoreSession session = saved("cart", cart);
		session.setAttribute("text", "ü€😀\"\\");
		session.setAttribute("nul", "a\0b");
		session.setAttribute("bytes", new byte[] { 0, -1 });
		this.repository.save(session);
		SessionStoreSession found = load(session);
		assertThat(found.getAttributeNames()).containsExactlyInAnyOrder("cart", "text", "nul", "bytes");
		assertThat(found.<Cart>getAttribute("cart")).isEqualTo(cart);
		assertThat(found.<String>getAttribute("text")).isEqualTo("ü€😀\"\\");
		assertThat(found.<String>getAttribute("nul")).isEqualTo("a\0b");
		assertThat(found.<byte[]>getAttribute("bytes")).containsExactly(0, -1);
		assertThat(found.<Object>getAttribute("nothing")).isNull();
		assertThat(found.getCreationTime()).isBetween(Instant.now().minusSeconds(60), Instant.now().plusSeconds(1));
	}

	@Test
	void sqlAndJavaReadEachOthersText() {
		SessionStoreSession session = saved("cart", "umbrella");
		assertThat(Database.content(session.getId())).containsEntry("cart", "umbrella");
		Database.OWNER.queryForList(
				"SELECT session_merge(?, '{\"a\": \"b\", \"n\": 1.5, \"l\": [1, null], \"no\": null}')",
				session.getId());
		SessionStoreSession found = load(session);
		assertThat(found.<String>getAttribute("a")).isEqualTo("b");
		assertThat(found.<Number>getAttribute("n").doubleValue()).isEqualTo(1.5);
		assertThat(found.<List<?>>getAttribute("l")).hasSize(2);
		assertThat(found.getAttributeNames()).doesNotContain("no");
	}

	@Test
	void aMapOfAUsersIsNotTakenForWhatTheSerializerMakesOfText() {
		this.repository.setAttributeSerializer(new JsonAttributeSerializer(new ObjectMapper()));
		for (Object value : List.of(Map.of("@json", "[1,2]"), Map.of("@json", "a\0"), Map.of("@json", Map.of()),
				"\0")) {
			assertThat(load(saved("form", value)).<Object>getAttribute("form")).isEqualTo(value);
		}
	}

	@Test
	void aValueThatCannotBeSerializedIsAnErrorAndNothingIsSaved() {
		SessionStoreSession session = load(saved("a", "b"));
		session.setAttribute("a", "c");
		session.setAttribute("thread", Thread.currentThread());
		assertThatExceptionOfType(RuntimeException.class).isThrownBy(() -> this.repository.save(session));
		assertThat(load(session).<String>getAttribute("a")).isEqualTo("b");
		assertThat(load(session).getAttributeNames()).containsExactly("a");
	}

	@Test
	void parallelChangesOfDifferentAttributesStay() {
		SessionStoreSession session = saved("cart", "umbrella");
		session.setAttribute("gone", "x");
		this.repository.save(session);
		SessionStoreSession one = load(session);
		SessionStoreSession other = load(session);
		one.setAttribute("one", 1);
		one.removeAttribute("gone");
		other.setAttribute("other", 2);
		this.repository.save(one);
		this.repository.save(other);
		assertThat(load(session).getAttributeNames()).containsExactlyInAnyOrder("cart", "one", "other");
	}

	@Test
	void eachRequestIsOneTripAndWhatDidNotChangeIsNotSaved() throws Exception {
		Database.awaitEarlyInAMinute();
		SessionStoreSession session = this.repository.createSession();
		session.setAttribute("cart", new Cart(List.of("umbrella"), 1));
		assertThat(trips(() -> this.repository.save(session))).isEqualTo(1);
		SessionStoreSession found = load(session);
		assertThat(trips(() -> load(session))).isEqualTo(1);
		String place = Database.place(session.getId());
		found.setLastAccessedTime(Instant.now());
		assertThat(trips(() -> this.repository.save(found))).isZero();
		found.setAttribute("cart", new Cart(List.of("umbrella"), 1));
		found.setAttribute("new", "x");
		found.removeAttribute("new");
		assertThat(trips(() -> this.repository.save(found))).isZero();
		assertThat(Database.place(session.getId())).isEqualTo(place);
		found.setAttribute("cart", new Cart(List.of("umbrella"), 2));
		found.setAttribute("size", "L");
		assertThat(trips(() -> this.repository.save(found))).isEqualTo(1);
		assertThat(trips(() -> this.repository.save(found))).isZero();
		assertThat(trips(() -> this.repository.deleteById(session.getId()))).isEqualTo(1);
	}

	@Test
	void changesWithinValuesAreFoundAsTheSaveModeSays() {
		for (SaveMode mode : SaveMode.values()) {
			this.repository.setSaveMode(mode);
			SessionStoreSession session = saved("list", new ArrayList<>(List.of("a")));
			SessionStoreSession found = load(session);
			found.<List<String>>getAttribute("list").add("b");
			this.repository.save(found);
			assertThat(load(session).<List<String>>getAttribute("list"))
				.hasSize((mode == SaveMode.ON_SET_ATTRIBUTE) ? 1 : 2);
			SessionStoreSession same = load(session);
			same.getAttribute("list");
			assertThat(trips(() -> this.repository.save(same))).isZero();
		}
	}

	@Test
	void immediateFlushesSaveAtOnce() {
		this.repository.setFlushMode(FlushMode.IMMEDIATE);
		SessionStoreSession session = this.repository.createSession();
		assertThat(Database.exists(session.getId())).isTrue();
		assertThat(trips(() -> session.setAttribute("a", "b"))).isEqualTo(1);
		assertThat(load(session).<String>getAttribute("a")).isEqualTo("b");
		session.setMaxInactiveInterval(Duration.ofMinutes(7));
		assertThat(load(session).getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(7));
		assertThat(trips(() -> session.setLastAccessedTime(Instant.now()))).isZero();
		session.changeSessionId();
		session.setAttribute(PRINCIPAL, this.user);
		assertThat(Database.principal(session.getId())).isEqualTo(this.user);
		session.removeAttribute("a");
		assertThat(load(session).getAttributeNames()).containsExactly(PRINCIPAL);
	}

	@Test
	void anIdOfAnotherSessionIsNotTaken() {
		SessionStoreSession session = saved("cart", "umbrella");
		this.repository.setSessionIdGenerator(session::getId);
		SessionStoreSession other = this.repository.createSession();
		assertThatExceptionOfType(DuplicateKeyException.class).isThrownBy(() -> this.repository.save(other));
		other.setAttribute(PRINCIPAL, this.user);
		assertThatExceptionOfType(DuplicateKeyException.class).isThrownBy(() -> this.repository.save(other));
		assertThat(load(session).<String>getAttribute("cart")).isEqualTo("umbrella");
	}

	// Ids

	@ParameterizedTest
	@ValueSource(strings = { "", "a", "\0", "a\0b", "ü", "\ud800", "'; DROP TABLE session; --" })
	void anImpossibleIdIsUnknown(String id) {
		assertThat(this.repository.findById(id)).isNull();
		this.repository.deleteById(id);
		assertThat(this.repository.findDevices(id)).isEmpty();
		assertThat(this.repository.revoke(id, id)).isFalse();
		assertThat(this.repository.revokeOthers(id)).isEmpty();
		assertThat(this.repository.<Object>popAttribute(id, "a")).isNull();
		assertThat(this.repository.findById(id.repeat(300))).isNull();
	}

	@Test
	void aRenewedSessionIsTheSameUnderAnotherId() {
		SessionStoreSession session = saved("cart", "umbrella");
		session.setAttribute(PRINCIPAL, this.user);
		this.repository.save(session);
		String before = session.getId();
		session.changeSessionId();
		String after = session.changeSessionId();
		assertThat(trips(() -> this.repository.save(session))).isEqualTo(1);
		assertThat(this.repository.findById(before)).isNull();
		assertThat(this.repository.findById(after).<String>getAttribute("cart")).isEqualTo("umbrella");
		assertThat(Database.principal(after)).isEqualTo(this.user);
	}

	@Test
	void aSessionWhoseRenewalWasNotSavedIsDeletedByItsNewId() {
		SessionStoreSession session = saved("cart", "umbrella");
		String before = session.getId();
		this.repository.deleteById(session.changeSessionId());
		assertThat(Database.exists(before)).isFalse();
		SessionStoreSession renewed = saved("cart", "umbrella");
		renewed.changeSessionId();
		this.repository.save(renewed);
		this.repository.deleteById(renewed.getId());
		assertThat(Database.exists(renewed.getId())).isFalse();
	}

	// The end

	@Test
	void aSessionThatHasEndedIsNotBroughtBack() {
		SessionStoreSession session = saved("cart", "umbrella");
		List<SessionStoreSession> late = List.of(load(session), load(session), load(session), load(session),
				load(session));
		late.get(0).setAttribute("a", "b");
		late.get(1).removeAttribute("cart");
		late.get(2).changeSessionId();
		late.get(2).setAttribute(PRINCIPAL, this.user);
		late.get(3).setMaxInactiveInterval(Duration.ofHours(1));
		String newId = late.get(4).changeSessionId();
		this.repository.deleteById(session.getId());
		for (SessionStoreSession one : late) {
			this.repository.save(one);
			assertThat(one.getId()).isEqualTo(session.getId());
			one.setAttribute("again", "x");
			assertThat(trips(() -> this.repository.save(one))).isZero();
			assertThat(load(session)).isNull();
			assertThat(Database.exists(newId)).isFalse();
		}
		assertThat(this.repository.findByPrincipalName(this.user)).isEmpty();
	}

	@Test
	void whoAsksAboutASessionThatHasEndedGetsAnAnswer() {
		SessionStoreSession session = load(saved("cart", "umbrella"));
		this.repository.deleteById(session.getId());
		assertThat(session.getCreationTime()).isBeforeOrEqualTo(Instant.now());
		assertThat(session.getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
	}

	// Lifetimes

	@Test
	void sessionsLastAsLongAsTheRepositorySays() {
		assertThat(load(saved("a", "b")).getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
		this.repository.setDefaultMaxInactiveInterval(Duration.ofHours(5));
		SessionStoreSession session = saved("a", "b");
		assertThat(load(session).getMaxInactiveInterval()).isEqualTo(Duration.ofHours(5));
		assertThat(Database.column(session.getId(), "lifetime", Integer.class)).isEqualTo(5 * 3600);
	}

	@Test
	void aLifetimeOfItsOwnIsSavedAndStays() {
		SessionStoreSession session = load(saved("a", "b"));
		session.setMaxInactiveInterval(Duration.ofDays(30));
		this.repository.save(session);
		SessionStoreSession found = load(session);
		found.setAttribute("c", "d");
		this.repository.save(found);
		assertThat(found.getMaxInactiveInterval()).isEqualTo(Duration.ofDays(30));
		assertThat(load(session).getMaxInactiveInterval()).isEqualTo(Duration.ofDays(30));
		session.setMaxInactiveInterval(Duration.ofSeconds(Integer.MAX_VALUE));
		this.repository.save(session);
		assertThat(load(session).getMaxInactiveInterval()).isGreaterThan(Duration.ofDays(60 * 365));
	}

	@Test
	void aNegativeIntervalIsForEver() {
		SessionStoreSession session = this.repository.createSession();
		session.setMaxInactiveInterval(Duration.ofSeconds(-1));
		this.repository.save(session);
		assertThat(Database.column(session.getId(), "session_expiry = 'infinity'", Boolean.class)).isTrue();
		SessionStoreSession found = load(session);
		assertThat(found.getMaxInactiveInterval()).isNegative();
		assertThat(found.isExpired()).isFalse();
		found.setLastAccessedTime(Instant.EPOCH);
		this.repository.save(found);
		assertThat(load(session)).isNotNull();
	}

	@Test
	void theShortestIntervalIsNotForEver() {
		SessionStoreSession session = saved("a", "b");
		session.setMaxInactiveInterval(Duration.ofNanos(1));
		this.repository.save(session);
		assertThat(Database.column(session.getId(), "session_expiry < now() + '2 s'", Boolean.class)).isTrue();
	}

	@Test
	void anIntervalOfZeroEndsTheSessionAndIsNotForEver() {
		SessionStoreSession session = saved("a", "b");
		session.setMaxInactiveInterval(Duration.ZERO);
		this.repository.save(session);
		assertThat(Database.exists(session.getId())).isFalse();
		this.repository.setDefaultMaxInactiveInterval(Duration.ZERO);
		assertThat(Database.exists(saved("a", "b").getId())).isFalse();
	}

	@Test
	void aLastAccessBeyondTheIntervalEndsTheSession() {
		SessionStoreSession session = load(saved("a", "b"));
		session.setLastAccessedTime(Instant.now().minus(Duration.ofMinutes(29)));
		assertThat(session.isExpired()).isFalse();
		this.repository.save(session);
		assertThat(Database.exists(session.getId())).isTrue();
		session.setLastAccessedTime(Instant.now().minus(Duration.ofMinutes(31)));
		assertThat(session.isExpired()).isTrue();
		this.repository.save(session);
		assertThat(Database.exists(session.getId())).isFalse();
	}

	@Test
	void theLastAccessIsNeverInTheFuture() {
		SessionStoreSession session = saved("a", "b");
		SessionStoreSession found = load(session);
		assertThat(found.getLastAccessedTime()).isBetween(Instant.now().minusSeconds(61), Instant.now());
		found.setLastAccessedTime(Instant.now().plusSeconds(1000));
		assertThat(found.getLastAccessedTime()).isBeforeOrEqualTo(Instant.now());
		found.setAttribute(PRINCIPAL, this.user);
		this.repository.save(found);
		this.repository.findByPrincipalName(this.user)
			.values()
			.forEach((one) -> assertThat(one.getLastAccessedTime()).isBeforeOrEqualTo(Instant.now()));
	}

	@Test
	void looksAtTheDatabaseForTheRestOnlyWhenAsked() {
		SessionStoreSession session = saved("a", "b");
		SessionStoreSession found = load(session);
		assertThat(trips(() -> {
			found.setLastAccessedTime(Instant.now());
			found.getLastAccessedTime();
		})).isZero();
		assertThat(trips(() -> {
			found.getCreationTime();
			found.getMaxInactiveInterval();
			found.isExpired();
		})).isEqualTo(1);
	}

	@Test
	void aVisitKeepsTheSessionAlive() {
		SessionStoreSession session = saved("a", "b");
		Database.OWNER.update("""
				UPDATE session SET session_expiry = now() + interval '5 min' WHERE session_key = sha256(?::bytea)""",
				session.getId());
		load(session);
		assertThat(Database.column(session.getId(), "session_expiry > now() + interval '29 min'", Boolean.class))
			.isTrue();
	}

	// Principals

	@ParameterizedTest
	@EnumSource(FlushMode.class)
	void theSecurityContextSaysWhoseASessionIs(FlushMode mode) {
		this.repository.setFlushMode(mode);
		SessionStoreSession session = saved(CONTEXT, context(this.user));
		assertThat(Database.principal(session.getId())).isEqualTo(this.user);
		SessionStoreSession bound = saved("cart", "umbrella");
		bound.setAttribute(CONTEXT, context(this.user));
		this.repository.save(bound);
		assertThat(Database.principal(bound.getId())).isEqualTo(this.user);
		assertThat(load(bound).<String>getAttribute("cart")).isEqualTo("umbrella");
		bound.removeAttribute(CONTEXT);
		this.repository.save(bound);
		assertThat(Database.principal(bound.getId())).isNull();
		assertThat(load(bound).getAttributeNames()).containsExactly("cart");
	}

	@Test
	void aLoginIsOneTrip() {
		SessionStoreSession session = load(saved("cart", "umbrella"));
		String before = session.getId();
		session.changeSessionId();
		session.setAttribute(CONTEXT, context(this.user));
		session.setMaxInactiveInterval(Duration.ofDays(30));
		assertThat(trips(() -> this.repository.save(session))).isEqualTo(1);
		assertThat(this.repository.findById(before)).isNull();
		assertThat(Database.principal(session.getId())).isEqualTo(this.user);
		assertThat(load(session).getAttributeNames()).containsExactlyInAnyOrder("cart", CONTEXT);
		assertThat(load(session).getMaxInactiveInterval()).isEqualTo(Duration.ofDays(30));
		SessionStoreSession fresh = this.repository.createSession();
		fresh.setAttribute(CONTEXT, context(this.user));
		assertThat(trips(() -> this.repository.save(fresh))).isEqualTo(1);
		assertThat(this.repository.findByPrincipalName(this.user)).hasSize(2);
	}

	@Test
	void anotherLoginOfTheSameUserIsALogin() {
		SessionStoreSession session = load(saved(CONTEXT, context(this.user)));
		String authenticated = Database.column(session.getId(), "authenticated_at::text", String.class);
		session.changeSessionId();
		session.setAttribute(CONTEXT, context(this.user));
		this.repository.save(session);
		assertThat(Database.column(session.getId(), "authenticated_at::text", String.class))
			.isGreaterThan(authenticated);
	}

	@Test
	void aLogoutThatKeepsTheSessionMakesItNobodys() {
		SessionStoreSession session = saved(CONTEXT, context(this.user));
		session.changeSessionId();
		session.removeAttribute(CONTEXT);
		this.repository.save(session);
		assertThat(Database.exists(session.getId())).isTrue();
		assertThat(Database.principal(session.getId())).isNull();
	}

	@Test
	void aLoginAsSomebodyElseTakesNothingAlong() {
		SessionStoreSession session = saved("secret", "x");
		session.setAttribute(CONTEXT, context(this.user));
		this.repository.save(session);
		SessionStoreSession next = load(session);
		assertThat(next.<String>getAttribute("secret")).isEqualTo("x");
		next.changeSessionId();
		next.setAttribute(CONTEXT, context(this.user + "'s brother"));
		next.setAttribute("kept", "y");
		this.repository.save(next);
		assertThat(next.getAttributeNames()).containsExactlyInAnyOrder("kept", CONTEXT);
		next.setAttribute("secret", "x");
		this.repository.save(next);
		assertThat(load(next).getAttributeNames()).containsExactlyInAnyOrder("kept", "secret", CONTEXT);
	}

	@ParameterizedTest
	@ValueSource(booleans = { false, true })
	void aSecurityContextThatIsChangedInPlaceMakesTheSessionSomebodyElses(boolean renewed) {
		SessionStoreSession session = saved("secret", "x");
		session.setAttribute(CONTEXT, context(this.user));
		this.repository.save(session);
		SessionStoreSession found = load(session);
		SecurityContextImpl context = found.getAttribute(CONTEXT);
		context.setAuthentication(context(this.user + "'s brother").getAuthentication());
		if (renewed) {
			found.changeSessionId();
		}
		found.setAttribute(CONTEXT, context);
		this.repository.save(found);
		assertThat(Database.principal(found.getId())).isEqualTo(this.user + "'s brother");
		assertThat(found.getAttributeNames()).containsExactly(CONTEXT);
		assertThat(load(found).getAttributeNames()).containsExactly(CONTEXT);
	}

	@Test
	void whoseASessionIsIsFoundAsTheSaveModeSays() {
		this.repository.setSaveMode(SaveMode.ALWAYS);
		SessionStoreSession session = load(saved(CONTEXT, context(this.user)));
		SecurityContextImpl context = session.getAttribute(CONTEXT);
		context.setAuthentication(context(this.user + "'s brother").getAuthentication());
		this.repository.save(session);
		assertThat(Database.principal(session.getId())).isEqualTo(this.user + "'s brother");
	}

	@Test
	void whatIsKeptBesideThePrincipalIsAskedForAtTheLogin() {
		this.repository.setPrincipalAttributesResolver((session) -> Map.of("browser", "Firefox"));
		SessionStoreSession session = saved(PRINCIPAL, this.user);
		SessionStoreSession other = saved("cart", "umbrella");
		other.changeSessionId();
		other.setAttribute(PRINCIPAL, this.user);
		this.repository.save(other);
		List<Device> devices = this.repository.findDevices(session.getId());
		assertThat(devices).extracting(Device::attributes).containsOnly(Map.of("browser", "Firefox")).hasSize(2);
		assertThat(devices.get(0).current()).isTrue();
		assertThat(devices.get(1).current()).isFalse();
		assertThat(devices).allSatisfy((device) -> {
			assertThat(device.creationTime()).isBeforeOrEqualTo(device.authenticatedTime());
			assertThat(device.lastAccessedTime()).isBeforeOrEqualTo(Instant.now());
		});
	}

	@Test
	void anIndexResolverOfTheApplicationSaysWhoseASessionIs() {
		this.repository.setIndexResolver((session) -> {
			String name = session.getAttribute("name");
			return (name != null) ? Map.of(PRINCIPAL, name) : Map.of();
		});
		SessionStoreSession session = load(saved("cart", "umbrella"));
		session.setAttribute("name", this.user);
		this.repository.save(session);
		assertThat(Database.principal(session.getId())).isEqualTo(this.user);
	}

	@Test
	void sessionsAreFoundByTheirPrincipalWithHandlesThatAreNoIds() {
		SessionStoreSession session = saved(PRINCIPAL, this.user);
		SessionStoreSession other = saved(PRINCIPAL, this.user);
		Map<String, SessionStoreSession> found = this.repository.findByPrincipalName(this.user);
		assertThat(found).hasSize(2).doesNotContainKey(session.getId());
		found.forEach((handle, one) -> {
			assertThat(one.getId()).isEqualTo(handle).startsWith(SessionStoreRepository.HANDLE_PREFIX);
			assertThat(one.<String>getAttribute(PRINCIPAL)).isEqualTo(this.user);
			assertThat(one.getMaxInactiveInterval()).isEqualTo(Duration.ofMinutes(30));
			assertThat(this.repository.findById(handle)).isNull();
			assertThat(this.repository.findById(handle.substring(SessionStoreRepository.HANDLE_PREFIX.length())))
				.isNull();
			assertThatExceptionOfType(UnsupportedOperationException.class).isThrownBy(() -> one.setAttribute("a", "b"));
			assertThatExceptionOfType(UnsupportedOperationException.class).isThrownBy(() -> this.repository.save(one));
		});
		found.keySet().forEach(this.repository::deleteById);
		assertThat(Database.exists(session.getId()) || Database.exists(other.getId())).isFalse();
		assertThat(this.repository.findByIndexNameAndIndexValue("other", this.user)).isEmpty();
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "a\0b" })
	void whatNobodyCanBeCalledHasNoSessions(String name) {
		assertThat(this.repository.findByPrincipalName(name)).isEmpty();
		assertThat(this.repository.findByPrincipalName(name + "x".repeat(257))).isEmpty();
		assertThat(this.repository.revokeAll(name)).isEmpty();
		assertThat(Database.principal(saved(CONTEXT, context("")).getId())).isNull();
	}

	@Test
	void sessionsAreRevokedByTheirHandles() {
		SessionStoreSession session = saved(PRINCIPAL, this.user);
		SessionStoreSession other = saved(PRINCIPAL, this.user);
		SessionStoreSession third = saved(PRINCIPAL, this.user);
		SessionStoreSession stranger = saved(PRINCIPAL, this.user + "'s neighbour");
		String handle = Database.column(other.getId(), "handle", String.class);
		assertThat(this.repository.revoke(stranger.getId(), handle)).isFalse();
		assertThat(this.repository.revokeOf(this.user + "'s neighbour", handle)).isFalse();
		assertThat(this.repository.revoke(session.getId(), "made up \0")).isFalse();
		assertThat(this.repository.revoke(session.getId(), handle)).isTrue();
		assertThat(Database.exists(other.getId())).isFalse();
		handle = SessionStoreRepository.HANDLE_PREFIX + Database.column(third.getId(), "handle", String.class);
		assertThat(this.repository.revokeOf(this.user, handle)).isTrue();
		assertThat(Database.exists(third.getId())).isFalse();
		assertThat(this.repository.findDevices(session.getId())).hasSize(1);
		assertThat(this.repository.revokeAll(this.user)).hasSize(1);
		assertThat(Database.exists(session.getId())).isFalse();
		assertThat(Database.exists(stranger.getId())).isTrue();
	}

	@Test
	void theOthersAreRevokedTogether() {
		SessionStoreSession session = saved(PRINCIPAL, this.user);
		SessionStoreSession other = saved(PRINCIPAL, this.user);
		assertThat(this.repository.revokeOthers(session.getId())).hasSize(1);
		assertThat(Database.exists(session.getId())).isTrue();
		assertThat(Database.exists(other.getId())).isFalse();
	}

	@Test
	void anAttributeIsTakenOnce() {
		SessionStoreSession session = saved("flash", new Cart(List.of(), 1));
		assertThat(this.repository.<Cart>popAttribute(session.getId(), "flash").price()).isEqualTo(1);
		assertThat(this.repository.<Cart>popAttribute(session.getId(), "flash")).isNull();
		assertThat(load(session).getAttributeNames()).isEmpty();
	}

}
