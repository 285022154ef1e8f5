/**
 * How dead peers of silent connections are found, those of WebSockets above all, which may be silent for as long as their
 * token lives: after a minute of silence the system asks whether the other side is still there, and ends the connection a few
 * unanswered probes later (RFC 9293 section 3.8.4).
 */
export const TCP_KEEPALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
