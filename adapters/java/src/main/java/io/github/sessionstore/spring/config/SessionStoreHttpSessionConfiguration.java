package io.github.sessionstore.spring.config;

import java.time.Duration;

import javax.sql.DataSource;

import io.github.sessionstore.spring.AttributeSerializer;
import io.github.sessionstore.spring.JdkAttributeSerializer;
import io.github.sessionstore.spring.PrincipalAttributesResolver;
import io.github.sessionstore.spring.SessionStoreRepository;
import io.github.sessionstore.spring.SessionStoreRepositoryFilter;

import org.springframework.beans.factory.BeanClassLoaderAware;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.ImportAware;
import org.springframework.core.annotation.AnnotationAttributes;
import org.springframework.core.type.AnnotationMetadata;
import org.springframework.session.FlushMode;
import org.springframework.session.IndexResolver;
import org.springframework.session.MapSession;
import org.springframework.session.SaveMode;
import org.springframework.session.Session;
import org.springframework.session.SessionIdGenerator;
import org.springframework.session.SessionRepository;
import org.springframework.session.config.SessionRepositoryCustomizer;
import org.springframework.session.config.annotation.web.http.SpringHttpSessionConfiguration;
import org.springframework.session.web.http.SessionRepositoryFilter;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionOperations;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Has the {@code HttpSession} in PostgreSQL.
 *
 * @see EnableSessionStoreHttpSession
 */
@Configuration(proxyBeanMethods = false)
public class SessionStoreHttpSessionConfiguration extends SpringHttpSessionConfiguration
		implements BeanClassLoaderAware, ImportAware {

	private Duration maxInactiveInterval = MapSession.DEFAULT_MAX_INACTIVE_INTERVAL;

	private FlushMode flushMode = FlushMode.ON_SAVE;

	private SaveMode saveMode = SaveMode.ON_SET_ATTRIBUTE;

	private ClassLoader classLoader;

	@Bean
	SessionStoreRepository sessionRepository(DataSource dataSource,
			ObjectProvider<PlatformTransactionManager> transactionManager,
			ObjectProvider<AttributeSerializer> attributeSerializer,
			ObjectProvider<PrincipalAttributesResolver> principalAttributesResolver,
			ObjectProvider<IndexResolver<Session>> indexResolver, ObjectProvider<SessionIdGenerator> sessionIdGenerator,
			ObjectProvider<SessionRepositoryCustomizer<SessionStoreRepository>> customizers) {
		SessionStoreRepository repository = new SessionStoreRepository(dataSource,
				transactionOperations(transactionManager.getIfUnique()));
		repository.setDefaultMaxInactiveInterval(this.maxInactiveInterval);
		repository.setFlushMode(this.flushMode);
		repository.setSaveMode(this.saveMode);
		repository.setAttributeSerializer(
				attributeSerializer.getIfAvailable(() -> new JdkAttributeSerializer(this.classLoader)));
		principalAttributesResolver.ifAvailable(repository::setPrincipalAttributesResolver);
		indexResolver.ifAvailable(repository::setIndexResolver);
		sessionIdGenerator.ifAvailable(repository::setSessionIdGenerator);
		customizers.orderedStream().forEach((customizer) -> customizer.customize(repository));
		return repository;
	}

	@Bean
	@Override
	public <S extends Session> SessionRepositoryFilter<? extends Session> springSessionRepositoryFilter(
			SessionRepository<S> sessionRepository) {
		SessionRepositoryFilter<? extends Session> filter = super.springSessionRepositoryFilter(sessionRepository);
		return (sessionRepository instanceof SessionStoreRepository repository)
				? new SessionStoreRepositoryFilter(repository, filter) : filter;
	}

	/** A caller's transaction waits, and its connection is not used. */
	private static TransactionOperations transactionOperations(PlatformTransactionManager transactionManager) {
		if (transactionManager == null) {
			return TransactionOperations.withoutTransaction();
		}
		TransactionTemplate transactions = new TransactionTemplate(transactionManager);
		transactions.setPropagationBehavior(TransactionDefinition.PROPAGATION_NOT_SUPPORTED);
		return transactions;
	}

	@Override
	public void setBeanClassLoader(ClassLoader classLoader) {
		this.classLoader = classLoader;
	}

	@Override
	public void setImportMetadata(AnnotationMetadata importMetadata) {
		AnnotationAttributes attributes = AnnotationAttributes
			.fromMap(importMetadata.getAnnotationAttributes(EnableSessionStoreHttpSession.class.getName()));
		if (attributes != null) {
			this.maxInactiveInterval = Duration
				.ofSeconds(attributes.<Integer>getNumber("maxInactiveIntervalInSeconds"));
			this.flushMode = attributes.getEnum("flushMode");
			this.saveMode = attributes.getEnum("saveMode");
		}
	}

}
