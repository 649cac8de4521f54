namespace KvMesh.Simulation.Traces;

/// <summary>
/// Makes prompts of chat sessions: popular system prompts shared by many sessions, turns that extend what came before, and
/// branches off earlier turns. Deterministic for its options.
/// </summary>
public sealed class ConversationGenerator
{
    private readonly ConversationOptions _options;
    private Random _random;
    private readonly ulong[][] _systemPrompts;
    private readonly double[] _popularity;
    private readonly List<Session> _sessions = [];
    private ulong _nextId = 1;
    private double _now;

    private ConversationGenerator(ConversationOptions options)
    {
        _options = options;
        _random = new Random(options.SystemSeed);
        _systemPrompts = [.. Enumerable.Range(0, options.SystemPrompts).Select(_ => FreshBlocks(options.SystemBlocks))];
        _popularity = CumulativeWeights(options.SystemPrompts, options.Skew);
        _random = new Random(options.Seed);
        _nextId = (ulong)(uint)options.Seed << 32;
    }

    public static List<PromptRequest> Generate(ConversationOptions options)
    {
        var generator = new ConversationGenerator(options);
        return [.. Enumerable.Range(0, options.Requests).Select(_ => generator.Next())];
    }

    private PromptRequest Next()
    {
        _now += -Math.Log(1 - _random.NextDouble()) * _options.MeanGapMs;
        if (_sessions.Count < _options.ActiveSessions)
        {
            _sessions.Add(Begin());
        }

        var index = _random.Next(_sessions.Count);
        var session = _sessions[index];
        session.TurnStarts.Add(session.Blocks.Count);
        session.Blocks.AddRange(FreshBlocks(_options.TurnBlocks));
        if (_random.NextDouble() < _options.EndChance)
        {
            _sessions.RemoveAt(index);
        }

        // Most prompts end inside a block. What fills that block later is other content, so its id is never seen again.
        var endsInside = _random.Next(512) != 0;
        ulong[] ids = endsInside ? [.. session.Blocks, _nextId++] : [.. session.Blocks];
        return new PromptRequest((long)_now, ids, session.Blocks.Count);
    }

    private Session Begin()
    {
        if (_sessions.Count > 0 && _random.NextDouble() < _options.ForkChance)
        {
            var origin = _sessions[_random.Next(_sessions.Count)];
            if (origin.TurnStarts.Count > 0)
            {
                var at = origin.TurnStarts[_random.Next(origin.TurnStarts.Count)];
                return new Session([.. origin.Blocks.Take(at)]);
            }
        }

        var pick = Array.BinarySearch(_popularity, _random.NextDouble());
        return new Session([.. _systemPrompts[Math.Min(pick < 0 ? ~pick : pick, _systemPrompts.Length - 1)]]);
    }

    private ulong[] FreshBlocks((int Min, int Max) bounds)
    {
        var blocks = new ulong[_random.Next(bounds.Min, bounds.Max + 1)];
        foreach (ref var block in blocks.AsSpan())
        {
            block = _nextId++;
        }

        return blocks;
    }

    private static double[] CumulativeWeights(int count, double skew)
    {
        var weights = Enumerable.Range(1, count).Select(rank => Math.Pow(rank, -skew)).ToArray();
        var total = weights.Sum();
        double sum = 0;
        return [.. weights.Select(weight => sum += weight / total)];
    }

    private sealed record Session(List<ulong> Blocks)
    {
        /// <summary>Where each turn begins, for branches.</summary>
        public List<int> TurnStarts { get; } = [];
    }
}
