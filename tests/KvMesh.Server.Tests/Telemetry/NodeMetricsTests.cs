using System.Diagnostics.Metrics;
using KvMesh.Engine.Telemetry;
using KvMesh.Server.Telemetry;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Telemetry;

public sealed class NodeMetricsTests
{
    private static readonly TimeSpan LongAgo = TimeSpan.FromMinutes(1);

    [Fact]
    public void All_figures_of_a_scrape_are_of_one_moment()
    {
        using var engine = new TestEngine();
        var time = new SimulatedClock();
        var taken = 0;
        using var metrics = new NodeMetrics(Take, () => true, time);
        using var listener = Listen(metrics, static () => { });

        listener.RecordObservableInstruments();
        Assert.Equal(1, taken);
        time.Advance(LongAgo);
        listener.RecordObservableInstruments();
        Assert.Equal(2, taken);

        EngineSnapshot Take()
        {
            taken++;
            return engine.Engine.Snapshot();
        }
    }

    /// <summary>An exporter collects on a thread of its own: it goes on when the node stops in the middle of it.</summary>
    [Fact]
    public void A_collection_that_outlives_its_node_does_not_ask_the_engine()
    {
        using var engine = new TestEngine();
        var time = new SimulatedClock();
        var (isGone, asked) = (false, 0);
        var metrics = new NodeMetrics(Take, () => true, time);
        var figures = 0;
        using var listener = Listen(metrics, () =>
        {
            if (figures++ == 2)
            {
                metrics.Dispose();
                isGone = true;
            }

            time.Advance(LongAgo);
        });

        listener.RecordObservableInstruments();
        Assert.True(isGone);
        Assert.Equal(engine.Engine.Snapshot().Incarnation, metrics.Snapshot().Incarnation);
        Assert.Equal(0, asked);

        EngineSnapshot Take()
        {
            asked += isGone ? 1 : 0;
            return engine.Engine.Snapshot();
        }
    }

    [Fact]
    public async Task A_node_stops_only_behind_the_snapshot_that_is_being_taken()
    {
        using var engine = new TestEngine();
        using var asked = new ManualResetEventSlim();
        using var mayAnswer = new ManualResetEventSlim();
        var isAnswered = false;
        var metrics = new NodeMetrics(Take, () => true, TimeProvider.System);
        var reading = Task.Run(metrics.Snapshot);
        Assert.True(asked.Wait(Eventually.Patience));

        var stopping = Task.Run(() =>
        {
            metrics.Dispose();
            return isAnswered;
        });
        mayAnswer.Set();

        Assert.True(await stopping.WaitAsync(Eventually.Patience));
        await reading.WaitAsync(Eventually.Patience);

        EngineSnapshot Take()
        {
            asked.Set();
            mayAnswer.Wait(Eventually.Patience);
            isAnswered = true;
            return engine.Engine.Snapshot();
        }
    }

    private static MeterListener Listen(NodeMetrics metrics, Action onFigure)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter == metrics.Meter)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => onFigure());
        listener.SetMeasurementEventCallback<int>((_, _, _, _) => onFigure());
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => onFigure());
        listener.Start();
        return listener;
    }
}
