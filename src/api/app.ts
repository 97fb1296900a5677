import fastify, { type FastifyInstance } from 'fastify';
import { ZodError, prettifyError } from 'zod';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { errorCode } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import { bladeIndex } from '../release/blade-index.ts';
import type { ReleaseStatement } from '../release/statement.ts';
import type { EventRepository } from '../state/events.ts';
import type { MachineRepository } from '../state/machines.ts';
import type { DroppedPackets } from '../serve/dropped.ts';
import { droppedRoutes } from './dropped.ts';
import { eventRoutes } from './events.ts';
import { machineRoutes } from './machines.ts';
import { reportRoutes } from './reports.ts';
import { statusRoutes } from './status.ts';

export interface ApiOptions {
  bus: EventBus;
  events: EventRepository;
  machines: MachineRepository;
  current(): ReleaseStatement;
  dropped: DroppedPackets;
  /** Asked before the API: what is a boot's is answered there, without a framework in between. */
  answerFirst(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  onError(error: unknown, request: string): void;
}

/** The root's one HTTP server: boot requests, then the API. */
export function createApp(options: ApiOptions): FastifyInstance {
  const app = fastify({
    serverFactory: (listener) => httpServer(listener, options),
    // A root that stops does not wait for readers of the event stream.
    forceCloseConnections: true,
  });
  app.setErrorHandler(async (error, request, reply) => {
    if (error instanceof ZodError) {
      return await reply.code(400).send({ code: 'BAD_REQUEST', message: prettifyError(error) });
    }
    const status = statusOf(error);
    if (status >= 500) options.onError(error, `${request.method} ${request.url}`);
    const message = error instanceof Error ? error.message : 'the request failed';
    return await reply.code(status).send({ code: errorCode(error) ?? 'FAILED', message });
  });
  app.setNotFoundHandler(async (request, reply) => {
    const message = `there is no ${request.method} ${request.url} here`;
    return await reply.code(404).send({ code: 'NOT_FOUND', message });
  });
  eventRoutes(app, options.bus, options.events);
  reportRoutes(app, options.bus, (name) => bladeIndex(options.current()).byName.has(name));
  machineRoutes(app, options.bus, options.machines, options.current);
  statusRoutes(app, options.current);
  droppedRoutes(app, options.dropped);
  return app;
}

function httpServer(listener: RequestListener, options: ApiOptions): Server {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (!(await options.answerFirst(request, response))) listener(request, response);
    } catch (error) {
      options.onError(error, `${request.method ?? ''} ${request.url ?? ''}`);
      // An answer that has begun is broken off, so that nobody takes it for whole.
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  };
  const server = createServer(LIMITS, (request, response) => void answer(request, response));
  // Fastify answers it.
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const isMalformed = error.code?.startsWith('HPE_') === true;
    if (isMalformed) options.dropped.add('http', socket.remoteAddress ?? 'unknown', error.message);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

/** Milliseconds and bytes. Whoever sends a request byte by byte holds a connection for half a minute, no longer. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16_384,
};
/** Far more than blades that are switched on together; each costs a descriptor, and one more while a file is sent. */
const MAX_CONNECTIONS = 10_000;

/** Fastify puts the status of a bad request (too long, not JSON, ...) on the error. */
function statusOf(error: unknown): number {
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 500;
  return typeof status === 'number' && status >= 400 ? status : 500;
}
