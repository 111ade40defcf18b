import asyncio, time
from datetime import timedelta
from domain.execution import RunStatus
MINUTE = timedelta(minutes=1)
async def test_dbg(scene):
    run = await scene.break_and_run()
    approval = await scene.approval()
    story = await scene.story_of(run.incident)
    t=time.time()
    await scene.advance(180 * MINUTE, story)
    print("ADV", time.time()-t); t=time.time()
    print((await scene.decide(approval)).settled, time.time()-t)
    for _ in range(4):
        await asyncio.sleep(2)
        print(time.time()-t, (await scene.run(run.id)).status, (await scene.actions(run.incident))[-8:])
    p=(await scene.plans(run.incident))[0]
    for h in (story, scene.remediation_of(p), scene.run_of(run)):
        print(h.id)
        try:
          async for e in h.fetch_history_events():
            print("  ", e.event_time.ToDatetime().time(), e.event_type, str(e)[:0], e.activity_task_scheduled_event_attributes.activity_type.name, e.timer_started_event_attributes.start_to_fire_timeout.seconds or "")
        except Exception as x: print(x)
