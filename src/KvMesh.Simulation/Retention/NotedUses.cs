using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>
/// Uses that the policy of a simulated node has yet to be told of. A node notes them and tells its policy before a block comes in; a block that several prompts used
/// meanwhile counts once, at the latest use, and with it all before it do. Every use, and every block that comes in, has a number of its own, as the clock of an engine gives it.
/// </summary>
/// <param name="trace">The trace.</param>
/// <param name="blocks">Where blocks are found by number; all of a use are there.</param>
/// <param name="use">Told of a block and the number of its use, in order of the uses, those of one prompt tail first.</param>
internal sealed class NotedUses(ChainedTrace trace, SimulatedBlock?[] blocks, Action<SimulatedBlock, long> use)
{
    /// <summary>A node tells its policy when so many uses were noted by one thread, whether a block comes in or not.</summary>
    private const int MaxNoted = 128;

    private readonly List<(int Request, int Held, long Number)> _noted = [];
    private readonly List<(int Request, int First, int Held, long Number)> _told = [];
    private int _telling;
    private long _last;

    /// <summary>The number of what happens at that time.</summary>
    public long NextNumber(long time) => _last = Math.Max(time, _last + 1);

    /// <summary>A prompt used its first blocks.</summary>
    public void Note(int request, int held)
    {
        if (held > 0)
        {
            _noted.Add((request, held, NextNumber(trace.Times[request])));
        }

        if (_noted.Count == MaxNoted)
        {
            Tell();
        }
    }

    /// <summary>A block comes in: what was noted is told.</summary>
    public void Tell()
    {
        if (_noted.Count == 0)
        {
            return;
        }

        _telling++;
        for (var index = _noted.Count - 1; index >= 0; index--)
        {
            var (request, held, number) = _noted[index];
            var chain = trace.ChainOf(request);
            var first = held;
            while (first > 0 && blocks[chain[first - 1]]!.Telling != _telling)
            {
                blocks[chain[--first]]!.Telling = _telling;
            }

            _told.Add((request, first, held, number));
        }

        for (var index = _told.Count - 1; index >= 0; index--)
        {
            var (request, first, held, number) = _told[index];
            var chain = trace.ChainOf(request);
            for (var place = held - 1; place >= first; place--)
            {
                use(blocks[chain[place]]!, number);
            }
        }

        _noted.Clear();
        _told.Clear();
    }
}
