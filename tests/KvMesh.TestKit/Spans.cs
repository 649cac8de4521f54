using System.Collections.Concurrent;
using System.Diagnostics;

namespace KvMesh.TestKit;

/// <summary>Collects the spans of one source that are opened under this test, on its thread or in its tasks.</summary>
public sealed class Spans : IDisposable
{
    private readonly ConcurrentQueue<Activity> _spans = new();
    private readonly ActivityListener _listener;
    private readonly Activity _test;

    public Spans(string source)
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = candidate => candidate.Name == source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _spans.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
        _test = new Activity("test").Start();
    }

    /// <summary>Those that have ended; other tests of the process run at the same time.</summary>
    public IEnumerable<Activity> OfThisTest => _spans.Where(span => span.TraceId == _test.TraceId);

    public void Dispose()
    {
        _test.Dispose();
        _listener.Dispose();
    }
}
