/**
 * gRPC’s own health checks, of a service that the gateway serves: `grpc.health.v1.Health/Check`. Pure.
 * gRPC Health Checking Protocol.
 */
import { eachField, latin1, MessageWriter } from './protobuf.ts';

/** HealthCheckRequest and HealthCheckResponse have one field each. */
const SERVICE = 1;
const STATUS = 1;
const ServingStatus = { serving: 1, notServing: 2 } as const;

/**
 * Which service is asked about; empty: the whole server.
 *
 * @throws MalformedMessage
 */
export function healthService(message: Uint8Array): string {
  let service = '';
  eachField(message, (field, value) => {
    if (field === SERVICE) service = latin1(value);
  });
  return service;
}

export function healthMessage(isServing: boolean): Uint8Array {
  return new MessageWriter()
    .number(STATUS, isServing ? ServingStatus.serving : ServingStatus.notServing)
    .finish();
}
