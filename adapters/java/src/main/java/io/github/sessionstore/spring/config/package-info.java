/**
 * Configuration without Spring Boot.
 */
package io.github.sessionstore.spring.config;
