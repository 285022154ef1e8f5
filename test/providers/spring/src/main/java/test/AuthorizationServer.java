package test;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.configuration.WebSecurityCustomizer;
import org.springframework.security.oauth2.jwt.JwtEncoder;
import org.springframework.security.oauth2.jwt.NimbusJwtEncoder;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Spring Authorization Server with what Spring Boot configures by itself from the properties (clients, a user, the issuer).
 * Only the signing keys are the tests' own, because Spring has no way to change them while it runs.
 */
@SpringBootApplication
@RestController
public class AuthorizationServer {
    private final List<JWK> keys = new CopyOnWriteArrayList<>(List.of(newKey()));

    public static void main(String[] args) {
        SpringApplication.run(AuthorizationServer.class, args);
    }

    /** The newest key is the first, and signs. */
    @Bean
    JWKSource<SecurityContext> jwkSource() {
        return (selector, context) -> selector.select(new JWKSet(keys));
    }

    @Bean
    JwtEncoder jwtEncoder(JWKSource<SecurityContext> source) {
        NimbusJwtEncoder encoder = new NimbusJwtEncoder(source);
        encoder.setJwkSelector(found -> found.get(0));
        return encoder;
    }

    /** The tests change keys by plain requests. */
    @Bean
    WebSecurityCustomizer keyChanges() {
        return web -> web.ignoring().requestMatchers("/keys");
    }

    /** Signs with a new key from now on; the others stay published. */
    @PostMapping("/keys")
    void rotate() {
        keys.add(0, newKey());
    }

    /** Withdraws all keys but the newest. */
    @DeleteMapping("/keys")
    void withdraw() {
        keys.subList(1, keys.size()).clear();
    }

    private static RSAKey newKey() {
        try {
            return new RSAKeyGenerator(2048).keyID(UUID.randomUUID().toString()).generate();
        } catch (JOSEException error) {
            throw new IllegalStateException(error);
        }
    }
}
