package io.github.sessionstore.spring;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

/**
 * The blocks of code in the README and the guide.
 */
final class Readme {

	private Readme() {
	}

	static String block(String language, int number) {
		return blocks(language).get(number);
	}

	static List<String> blocks(String language) {
		return Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL)
			.matcher(read(Path.of("README.md")) + read(Path.of("GUIDE.md")))
			.results()
			.map((match) -> match.group(1))
			.toList();
	}

	/** Without what layout makes different. */
	static String squeeze(String code) {
		return code.replaceAll("//.*|\\bstatic\\b|\\s+", "");
	}

	static String read(Path path) {
		try {
			return Files.readString(path);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}
