'use strict';
const { SubscriptionClient } = require('subscriptions-transport-ws-0.11');
const WebSocket = require('ws');
const { drive } = require('../lib/driver.cjs');
const { subscriptionsTransport } = require('./stw.cjs');

drive(subscriptionsTransport(SubscriptionClient), WebSocket);
