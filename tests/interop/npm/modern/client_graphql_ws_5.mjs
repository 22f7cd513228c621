import { createClient } from 'graphql-ws-5';
import WebSocket from 'ws';
import { drive } from '../lib/driver.cjs';
import { graphqlWs } from './graphql_ws.mjs';

drive(graphqlWs(createClient), WebSocket);
