import { holdRate } from '../load/hold-rate.ts'
import { openSessions } from '../load/open-sessions.ts'
import { saturate } from '../load/saturate.ts'
import { askOnce } from '../load/ask-once.ts'
import { takeOrders } from '../orders.ts'

takeOrders({ saturate, 'hold-rate': holdRate, 'open-sessions': openSessions, 'ask-once': askOnce })
