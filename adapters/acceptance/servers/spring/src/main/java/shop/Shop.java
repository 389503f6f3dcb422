package shop;

import java.util.Map;

import io.github.sessionstore.spring.PrincipalAttributesResolver;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.authentication.AuthenticationProvider;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.session.security.web.authentication.SpringSessionRememberMeServices;
import org.springframework.session.web.http.CookieSerializer;
import org.springframework.session.web.http.DefaultCookieSerializer;

/**
 * A small application with Spring Security.
 */
@SpringBootApplication
public class Shop {

	public static void main(String[] arguments) {
		SpringApplication.run(Shop.class, arguments);
	}

	@Bean
	SecurityFilterChain security(HttpSecurity http) throws Exception {
		SpringSessionRememberMeServices rememberMe = new SpringSessionRememberMeServices();
		rememberMe.setRememberMeParameterName("remember");
		return http.csrf(AbstractHttpConfigurer::disable)
			.authorizeHttpRequests((requests) -> requests.anyRequest().permitAll())
			.formLogin((login) -> login.usernameParameter("user")
				.successHandler((request, response, authentication) -> Pages.answer(response)))
			.rememberMe((me) -> me.rememberMeServices(rememberMe))
			.logout((logout) -> logout
				.logoutSuccessHandler((request, response, authentication) -> Pages.answer(response)))
			.build();
	}

	/** Lets everybody in who says a name, after so long as the request says. */
	@Bean
	AuthenticationProvider everybody(HttpServletRequest request) {
		return new AuthenticationProvider() {

			@Override
			public Authentication authenticate(Authentication authentication) {
				Pages.loadAndWait(request);
				return UsernamePasswordAuthenticationToken.authenticated(authentication.getName(), null,
						AuthorityUtils.createAuthorityList("ROLE_USER"));
			}

			@Override
			public boolean supports(Class<?> authentication) {
				return UsernamePasswordAuthenticationToken.class.isAssignableFrom(authentication);
			}

		};
	}

	@Bean
	PrincipalAttributesResolver browser(HttpServletRequest request) {
		return (session) -> Map.of("browser", request.getHeader("User-Agent"));
	}

	/** The cookie is the id as it is, and lasts as long as the session. */
	@Bean
	CookieSerializer cookieSerializer() {
		DefaultCookieSerializer serializer = new DefaultCookieSerializer() {

			@Override
			public void writeCookieValue(CookieValue cookie) {
				HttpSession session = cookie.getRequest().getSession(false);
				if (session != null) {
					cookie.setCookieMaxAge(session.getMaxInactiveInterval());
				}
				super.writeCookieValue(cookie);
			}

		};
		serializer.setUseBase64Encoding(false);
		return serializer;
	}

}
