import type { JsonObject } from '#kernel'
import { legacyTask } from '../bridge/tasks.ts'
import type { LegacyRequest } from './request.ts'

const MAX_FOLLOWED = 100
const ENDED: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled'])

/**
 * Tells a client of 2025-11-25 how the task it has just begun goes on (`notifications/tasks/status`), where it has a
 * stream on which that can be said. It never asked for that, so the task is looked at only when its server tells.
 */
export async function followBegunTask({ face, exchange, session }: LegacyRequest, task: JsonObject): Promise<void> {
  const { taskId } = task
  if (typeof taskId !== 'string' || ENDED.has(task['status']) || session.serverStreams().length === 0) return
  const forget = (): void => {
    session.followedTasks?.delete(taskId)
    if (session.followedTasks?.size === 0) session.followedTasks = undefined
  }
  const release = await face.tools.followTask({
    admission: exchange.admission,
    session,
    taskId,
    known: task,
    onTask: (now) => {
      session.outside.notify('notifications/tasks/status', legacyTask(now))
      if (ENDED.has(now['status'])) forget()
    },
  })
  if (session.serverStreams().length === 0) return await release()
  session.followedTasks ??= new Map()
  session.followedTasks.set(taskId, release)
  const [oldest] = session.followedTasks
  if (session.followedTasks.size <= MAX_FOLLOWED || oldest === undefined) return
  session.followedTasks.delete(oldest[0])
  await oldest[1]()
}
