using System.Collections.Immutable;

namespace KvMesh.Simulation.Traces;

/// <summary>
/// Shape of a generated trace: chats, agents and one-shot documents of several tenants; scans and changes of phase if they are asked for. Arrivals and returns are by default those of Mooncake's
/// published conversation trace (FAST '25): about 200 requests a minute, a third of the first turns continued, half of the returns within
/// two minutes, nine of ten within ten.
/// </summary>
public sealed record FleetTraceOptions
{
    /// <summary>Scans, and changes of phase, at most; and the latest second at which one may be.</summary>
    public const int MaxMoments = 100;
    public const int MaxSeconds = 1_000_000_000;

    /// <summary>Same options, same trace.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Prompts in all, 1 to 10,000,000.</summary>
    public int Requests { get; init; } = 12_000;

    /// <summary>Sessions that begin in a second: chats, agents and documents together.</summary>
    public double SessionsPerSecond { get; init; } = 1.7;

    /// <summary>Customers that share nothing, 1 to 1,000. How much each asks for follows <see cref="Skew"/>.</summary>
    public int Tenants { get; init; } = 1;

    /// <summary>System prompts of each tenant, 1 to 10,000.</summary>
    public int SystemPrompts { get; init; } = 20;

    /// <summary>Exponent of the popularity of tenants and system prompts: 0 is even, 1 is Zipf's law.</summary>
    public double Skew { get; init; } = 1.1;

    /// <summary>Minutes after which a tenant's system prompts change places in popularity, as releases do; 0: never.</summary>
    public double DriftMinutes { get; init; } = 30;

    /// <summary>Share of the sessions that are agents, 0 to 1.</summary>
    public double AgentShare { get; init; } = 0.02;

    /// <summary>Share of the sessions that are documents, 0 to 1; with the agents at most 1. The rest are chats.</summary>
    public double DocumentShare { get; init; } = 0.2;

    /// <summary>Median tokens of a system prompt; lengths are log-normal.</summary>
    public int SystemTokens { get; init; } = 1_500;

    /// <summary>Median tokens that the first turn of a chat brings.</summary>
    public int FirstTurnTokens { get; init; } = 4_500;

    /// <summary>Median tokens that every later turn of a chat brings.</summary>
    public int TurnTokens { get; init; } = 500;

    /// <summary>Median tokens of an answer, which the next turn of its session contains.</summary>
    public int AnswerTokens { get; init; } = 300;

    /// <summary>Median tokens of a document.</summary>
    public int DocumentTokens { get; init; } = 16_000;

    /// <summary>Chance that a chat goes on after its first turn. It gains 0.1 with each of the next four turns: who returned returns.</summary>
    public double ContinueChance { get; init; } = 0.33;

    /// <summary>Median seconds from a turn of a chat to the next; log-normal, so that nine of ten come within 4.3 times as long.</summary>
    public double ReturnSeconds { get; init; } = 126;

    /// <summary>Chance that a document is asked about once more, within minutes.</summary>
    public double DocumentAgainChance { get; init; } = 0.1;

    /// <summary>Mean steps of an agent; each step's prompt is the one before it with the answer and what a tool returned.</summary>
    public double AgentSteps { get; init; } = 12;

    /// <summary>Median seconds from a step of an agent to the next.</summary>
    public double StepSeconds { get; init; } = 8;

    /// <summary>Chance that an agent, at a step, sends out two to four others that begin with all it knows.</summary>
    public double ForkChance { get; init; } = 0.01;

    /// <summary>
    /// Seconds of the trace at which a scan begins: a flood of prompts of one tenant, one after the other, of which each is new from its first token on and never
    /// comes again, as a batch job or an index of documents sends them. Up to 100 of them; empty: no scans.
    /// </summary>
    public ImmutableArray<int> ScansAtSeconds { get; init; } = [];

    /// <summary>Prompts of a scan, 1 to 1,000,000. They count among <see cref="Requests"/>.</summary>
    public int ScanPrompts { get; init; } = 500;

    /// <summary>Tokens of each prompt of a scan.</summary>
    public int ScanTokens { get; init; } = 16_000;

    /// <summary>Prompts of a scan in a second, evenly.</summary>
    public double ScanPromptsPerSecond { get; init; } = 10;

    /// <summary>
    /// Seconds of the trace at which a phase ends and another begins: system prompts are new ones, and sessions that wait for their next turn do not go on, each with the
    /// chance <see cref="PhaseShare"/>. Up to 100 of them; empty: one phase.
    /// </summary>
    public ImmutableArray<int> PhasesAtSeconds { get; init; } = [];

    /// <summary>Share of the system prompts and of the sessions that a change of phase ends, 0 to 1.</summary>
    public double PhaseShare { get; init; } = 1;

    /// <exception cref="ArgumentOutOfRangeException">A value is outside of its limits; the message names it.</exception>
    public void Validate()
    {
        Between(Requests, 1, 10_000_000, nameof(Requests));
        Between(SessionsPerSecond, 0.001, 1e6, nameof(SessionsPerSecond));
        Between(Tenants, 1, 1_000, nameof(Tenants));
        Between(SystemPrompts, 1, 10_000, nameof(SystemPrompts));
        Between(Skew, 0, 10, nameof(Skew));
        Between(DriftMinutes, 0, 1e6, nameof(DriftMinutes));
        Between(AgentShare, 0, 1, nameof(AgentShare));
        Between(DocumentShare, 0, 1 - AgentShare, nameof(DocumentShare));
        Between(SystemTokens, 1, 100_000, nameof(SystemTokens));
        Between(FirstTurnTokens, 1, 100_000, nameof(FirstTurnTokens));
        Between(TurnTokens, 1, 100_000, nameof(TurnTokens));
        Between(AnswerTokens, 1, 100_000, nameof(AnswerTokens));
        Between(DocumentTokens, 1, 100_000, nameof(DocumentTokens));
        Between(ContinueChance, 0, 1, nameof(ContinueChance));
        Between(ReturnSeconds, 0.001, 1e6, nameof(ReturnSeconds));
        Between(DocumentAgainChance, 0, 1, nameof(DocumentAgainChance));
        Between(AgentSteps, 1, 1_000, nameof(AgentSteps));
        Between(StepSeconds, 0.001, 1e6, nameof(StepSeconds));
        Between(ForkChance, 0, 0.2, nameof(ForkChance));
        AllBetween(ScansAtSeconds, nameof(ScansAtSeconds));
        Between(ScanPrompts, 1, 1_000_000, nameof(ScanPrompts));
        Between(ScanTokens, 1, 100_000, nameof(ScanTokens));
        Between(ScanPromptsPerSecond, 0.001, 1e6, nameof(ScanPromptsPerSecond));
        AllBetween(PhasesAtSeconds, nameof(PhasesAtSeconds));
        Between(PhaseShare, 0, 1, nameof(PhaseShare));
    }

    private static void AllBetween(ImmutableArray<int> seconds, string name)
    {
        if (seconds.Length > MaxMoments)
        {
            throw new ArgumentOutOfRangeException(name, seconds.Length, $"{name} are {seconds.Length}; there may be {MaxMoments} at most.");
        }

        foreach (var second in seconds)
        {
            Between(second, 0, MaxSeconds, name);
        }
    }

    private static void Between(double value, double min, double max, string name)
    {
        if (!(value >= min && value <= max))
        {
            throw new ArgumentOutOfRangeException(name, value, $"{name} is {value}; it must be from {min} to {max}.");
        }
    }
}
