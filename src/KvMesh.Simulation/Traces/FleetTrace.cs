namespace KvMesh.Simulation.Traces;

/// <summary>
/// Generates what a fleet is asked, so that retention can be judged without recorded traces: chats whose users come back, agents that take many steps
/// and send out others, documents that are read once; scans, and phases after which all is other. Prompts grow by tokens, and only blocks that are full keep their identity.
/// Deterministic for its options.
/// </summary>
public sealed class FleetTrace
{
    /// <summary>Longest prompt, in tokens: a session that grows beyond it ends.</summary>
    private const int MaxPromptTokens = 128 * 1024;

    /// <summary>Sessions that wait for their next turn at most; who comes beyond it is turned away.</summary>
    private const int MaxWaiting = 1_000_000;

    /// <summary>How many agents an agent that was sent out may have above it.</summary>
    private const int MaxForkDepth = 2;

    /// <summary>Spread of the logarithm of lengths, and of times between turns: 4.3 times the median is the ninth decile.</summary>
    private const double LengthSpread = 0.9;
    private const double TimeSpread = 1.14;

    private readonly FleetTraceOptions _options;
    private readonly Random _random;
    private readonly PriorityQueue<Session, (double Seconds, long Order)> _waiting = new();
    private readonly double[] _tenantWeights;
    private readonly double[] _systemWeights;
    private readonly TenantPrompts[] _tenants;

    /// <summary>What changes of phase draw from, so that all else is drawn alike with them and without.</summary>
    private readonly Random _phaseRandom;
    private readonly Queue<int> _phases;
    private int _phase;
    private ulong _nextId;
    private long _order;
    private double _nextArrival;

    private FleetTrace(FleetTraceOptions options)
    {
        _options = options;
        _random = new Random(options.Seed);
        _tenantWeights = CumulativeZipf(options.Tenants, options.Skew);
        _systemWeights = CumulativeZipf(options.SystemPrompts, options.Skew);
        _tenants = [.. Enumerable.Range(0, options.Tenants).Select(NewTenant)];
        _nextArrival = Exponential(1 / options.SessionsPerSecond);
        _phaseRandom = new Random(~options.Seed);
        _phases = new Queue<int>(options.PhasesAtSeconds.Order());
        foreach (var seconds in options.ScansAtSeconds)
        {
            Enqueue(new Session(SessionKind.Scan, tenant: 0, depth: 0) { Tokens = options.ScanTokens }, seconds);
        }
    }

    /// <exception cref="ArgumentOutOfRangeException">An option is outside of its limits.</exception>
    public static List<PromptRequest> Generate(FleetTraceOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var trace = new FleetTrace(options);
        var requests = new List<PromptRequest>(options.Requests);
        while (requests.Count < options.Requests)
        {
            requests.Add(trace.Next());
        }

        return requests;
    }

    private PromptRequest Next()
    {
        while (true)
        {
            var (session, seconds) = NextTurn();
            EnterPhase(seconds);
            if (session.Kind == SessionKind.Scan)
            {
                return Scan(session, seconds);
            }

            if (session.Phase == _phase || !IsEndedByPhase())
            {
                session.Phase = _phase;
                return Ask(session, seconds);
            }
        }
    }

    private (Session Session, double Seconds) NextTurn()
    {
        while (!_waiting.TryPeek(out _, out var first) || _nextArrival <= first.Seconds)
        {
            EnterPhase(_nextArrival);
            if (_waiting.Count < MaxWaiting)
            {
                Enqueue(Begin(_nextArrival), _nextArrival);
            }

            _nextArrival += Exponential(1 / _options.SessionsPerSecond);
        }

        _waiting.TryDequeue(out var session, out var now);
        return (session!, now.Seconds);
    }

    /// <summary>Time goes on: phases that have begun since replace system prompts.</summary>
    private void EnterPhase(double seconds)
    {
        while (_phases.TryPeek(out var begin) && begin <= seconds)
        {
            _phases.Dequeue();
            _phase++;
            for (var tenant = 0; tenant < _tenants.Length; tenant++)
            {
                _tenants[tenant].Replace(prompt => IsEndedByPhase() ? NewSystemPrompt(tenant, _phaseRandom) : prompt);
            }
        }
    }

    private bool IsEndedByPhase() => _phaseRandom.NextDouble() < _options.PhaseShare;

    /// <summary>The next prompt of a scan: new from its first token on, and never seen again.</summary>
    private PromptRequest Scan(Session scan, double seconds)
    {
        scan.Blocks.Clear();
        scan.Turn++;
        if (scan.Turn < _options.ScanPrompts)
        {
            Enqueue(scan, seconds + (1 / _options.ScanPromptsPerSecond));
        }

        return NewRequest(scan, seconds, answer: 1);
    }

    private PromptRequest NewRequest(Session session, double seconds, int answer)
    {
        var full = session.Tokens / MooncakeTrace.TokensPerBlock;
        FillTo(session, full);
        var hasTail = session.Tokens % MooncakeTrace.TokensPerBlock != 0;
        ulong[] ids = hasTail ? [.. session.Blocks, _nextId++] : [.. session.Blocks];
        return new PromptRequest((long)(seconds * 1000), ids, full)
        {
            Tenant = _options.Tenants == 1 ? "" : $"tenant-{session.Tenant}",
            InputTokens = session.Tokens,
            OutputTokens = answer,
        };
    }

    private PromptRequest Ask(Session session, double seconds)
    {
        var answer = Length(_options.AnswerTokens);
        var request = NewRequest(session, seconds, answer);
        session.Turn++;
        switch (session.Kind)
        {
            case SessionKind.Chat:
                ContinueChat(session, seconds, answer);
                break;
            case SessionKind.Agent:
                ContinueAgent(session, seconds, answer);
                break;
            default:
                AskDocumentAgain(session, seconds);
                break;
        }

        return request;
    }

    private void ContinueChat(Session session, double seconds, int answer)
    {
        var chance = _options.ContinueChance + (0.1 * Math.Min(session.Turn - 1, 4));
        if (_random.NextDouble() < chance)
        {
            Grow(session, answer + Length(_options.TurnTokens), seconds + LogNormal(_options.ReturnSeconds, TimeSpread));
        }
    }

    private void ContinueAgent(Session session, double seconds, int answer)
    {
        if (session.Depth < MaxForkDepth && _random.NextDouble() < _options.ForkChance)
        {
            for (var forks = _random.Next(2, 5); forks > 0; forks--)
            {
                var fork = new Session(SessionKind.Agent, session.Tenant, session.Depth + 1) { Tokens = session.Tokens, Phase = session.Phase };
                fork.Blocks.AddRange(session.Blocks);
                Grow(fork, answer + Length(_options.TurnTokens), seconds + LogNormal(_options.StepSeconds, TimeSpread));
            }
        }

        if (_random.NextDouble() >= 1 / _options.AgentSteps)
        {
            Grow(session, answer + Length(_options.TurnTokens), seconds + LogNormal(_options.StepSeconds, TimeSpread));
        }
    }

    /// <summary>Another question after the same document: the question is short, and lies in the partial block or just behind it.</summary>
    private void AskDocumentAgain(Session session, double seconds)
    {
        if (_random.NextDouble() < _options.DocumentAgainChance)
        {
            Enqueue(session, seconds + LogNormal(_options.ReturnSeconds, TimeSpread));
        }
    }

    private void Grow(Session session, int tokens, double at)
    {
        session.Tokens += tokens;
        if (session.Tokens <= MaxPromptTokens)
        {
            Enqueue(session, at);
        }
    }

    private void Enqueue(Session session, double at) => _waiting.Enqueue(session, (at, _order++));

    private Session Begin(double seconds)
    {
        var tenant = Pick(_tenantWeights);
        var pick = _random.NextDouble();
        var kind = pick < _options.AgentShare ? SessionKind.Agent
            : pick < _options.AgentShare + _options.DocumentShare ? SessionKind.Document
            : SessionKind.Chat;
        var system = _tenants[tenant].At(Pick(_systemWeights), seconds, _options.DriftMinutes * 60, _random);
        var session = new Session(kind, tenant, depth: 0) { Tokens = system.Tokens, Phase = _phase };
        session.Blocks.AddRange(system.Blocks);
        session.Tokens += Length(kind == SessionKind.Document ? _options.DocumentTokens : _options.FirstTurnTokens);
        session.Tokens = Math.Min(session.Tokens, MaxPromptTokens);
        return session;
    }

    private TenantPrompts NewTenant(int tenant) => new([.. Enumerable.Range(0, _options.SystemPrompts).Select(_ => NewSystemPrompt(tenant, _random))]);

    private Session NewSystemPrompt(int tenant, Random random)
    {
        var prompt = new Session(SessionKind.Chat, tenant, depth: 0) { Tokens = Length(_options.SystemTokens, random) };
        FillTo(prompt, prompt.Tokens / MooncakeTrace.TokensPerBlock);
        return prompt;
    }

    /// <summary>Gives blocks that have become full their identity, which is theirs from now on.</summary>
    private void FillTo(Session session, int blocks)
    {
        while (session.Blocks.Count < blocks)
        {
            session.Blocks.Add(_nextId++);
        }
    }

    private int Length(int median) => Length(median, _random);

    private static int Length(int median, Random random) => (int)Math.Clamp(LogNormal(median, LengthSpread, random), 1, MaxPromptTokens);

    private double LogNormal(double median, double spread) => LogNormal(median, spread, _random);

    private static double LogNormal(double median, double spread, Random random)
    {
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return median * Math.Exp(spread * normal);
    }

    private double Exponential(double mean) => -Math.Log(1 - _random.NextDouble()) * mean;

    private int Pick(double[] cumulative)
    {
        var found = Array.BinarySearch(cumulative, _random.NextDouble());
        return Math.Min(found < 0 ? ~found : found, cumulative.Length - 1);
    }

    private static double[] CumulativeZipf(int count, double skew)
    {
        var weights = Enumerable.Range(1, count).Select(rank => Math.Pow(rank, -skew)).ToArray();
        var total = weights.Sum();
        double sum = 0;
        return [.. weights.Select(weight => sum += weight / total)];
    }

    private enum SessionKind
    {
        Chat,
        Agent,
        Document,
        Scan,
    }

    /// <summary>What one session has said so far. Blocks that are full have their ids; the rest of the tokens lie behind them.</summary>
    private sealed class Session(SessionKind kind, int tenant, int depth)
    {
        public SessionKind Kind => kind;

        public int Tenant => tenant;

        /// <summary>Agents above it.</summary>
        public int Depth => depth;

        public List<ulong> Blocks { get; } = [];

        public int Tokens { get; set; }

        public int Turn { get; set; }

        /// <summary>The phase in which it began, or that it has outlived.</summary>
        public int Phase { get; set; }
    }

    /// <summary>A tenant's system prompts in order of popularity, which drifts.</summary>
    private sealed class TenantPrompts(Session[] prompts)
    {
        private double _lastDrift;

        public Session At(int rank, double seconds, double driftSeconds, Random random)
        {
            if (driftSeconds > 0 && seconds - _lastDrift >= driftSeconds)
            {
                _lastDrift = seconds - (seconds % driftSeconds);
                random.Shuffle(prompts);
            }

            return prompts[rank];
        }

        public void Replace(Func<Session, Session> replacement)
        {
            foreach (ref var prompt in prompts.AsSpan())
            {
                prompt = replacement(prompt);
            }
        }
    }
}
