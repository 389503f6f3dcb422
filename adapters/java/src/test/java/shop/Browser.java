package shop;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;

/**
 * A browser: it keeps the cookie.
 */
final class Browser {

	private static final HttpClient CLIENT = HttpClient.newHttpClient();

	private final int port;

	private final String name;

	private String cookie;

	Browser(int port, String name) {
		this.port = port;
		this.name = name;
	}

	/** Another tab, which goes on with the cookie as it is now. */
	Browser tab() {
		Browser tab = new Browser(this.port, this.name);
		tab.cookie = this.cookie;
		return tab;
	}

	String cookie() {
		return this.cookie;
	}

	HttpResponse<String> ask(String method, String path) {
		HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + this.port + path))
			.header("User-Agent", this.name)
			.method(method, BodyPublishers.noBody());
		if (this.cookie != null) {
			request.header("Cookie", "SESSION=" + this.cookie);
		}
		try {
			HttpResponse<String> answer = CLIENT.send(request.build(), BodyHandlers.ofString());
			answer.headers().allValues("Set-Cookie").forEach(this::keep);
			return answer;
		}
		catch (IOException | InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private void keep(String header) {
		String value = header.substring("SESSION=".length(), header.indexOf(';'));
		this.cookie = value.isEmpty() ? null : value;
	}

	String get(String path) {
		return good(ask("GET", path));
	}

	String post(String path) {
		return good(ask("POST", path));
	}

	HttpResponse<String> login(String user) {
		return ask("POST", "/login?password=secret&username=" + URLEncoder.encode(user, StandardCharsets.UTF_8));
	}

	private static String good(HttpResponse<String> answer) {
		if (answer.statusCode() != 200) {
			throw new IllegalStateException(answer.statusCode() + ": " + answer.body());
		}
		return answer.body();
	}

}
