/** A server of grpc-js that tells how its services are: grpc.health.v1.Health, with the messages of a protobuf library. */
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { Test } from 'tap';

const PACKAGE = fromJSON(
  {
    nested: {
      'grpc.health.v1': {
        nested: {
          HealthCheckRequest: { fields: { service: { type: 'string', id: 1 } } },
          HealthCheckResponse: {
            fields: { status: { type: 'ServingStatus', id: 1 } },
            nested: {
              ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } },
            },
          },
          Health: {
            methods: {
              Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse', comment: '' },
            },
          },
        },
      },
    },
  },
  { defaults: true },
);

export interface GrpcHealth {
  readonly url: string;
  /** By the name of a service; what is missing is NOT_FOUND. */
  readonly statuses: Map<string, string>;
  /** Names that were asked for. */
  readonly asked: string[];
}

/** @param isKnown false: a server without the service */
export async function startGrpcHealth(t: Test, { isKnown = true } = {}): Promise<GrpcHealth> {
  const statuses = new Map<string, string>();
  const asked: string[] = [];
  const server = new Server();
  if (isKnown)
    server.addService(PACKAGE['grpc.health.v1.Health'] as ServiceDefinition, {
      Check({ request }: ServerUnaryCall<{ service: string }, object>, respond: sendUnaryData<object>) {
        asked.push(request.service);
        const known = statuses.get(request.service);
        if (known === undefined) respond({ code: status.NOT_FOUND, details: 'unknown service' });
        else respond(null, { status: known });
      },
    });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  );
  const port = await promise;
  t.teardown(() => server.forceShutdown());
  return { url: `h2c://127.0.0.1:${port}`, statuses, asked };
}
