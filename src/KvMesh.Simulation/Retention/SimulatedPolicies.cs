using System.Collections.Frozen;
using KvMesh.Engine.Retention;

namespace KvMesh.Simulation.Retention;

/// <summary>The policies of the engine by name, as a simulation takes them: every kind that the engine has.</summary>
public static class SimulatedPolicies
{
    public const string Lru = "lru";
    public const string Hazard = "hazard";

    private static readonly FrozenDictionary<string, RetentionKind> Kinds =
        Enum.GetValues<RetentionKind>().ToFrozenDictionary(kind => kind.ToString().ToLowerInvariant(), StringComparer.OrdinalIgnoreCase);

    /// <summary>All names, as the engine lists its kinds.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Enum.GetValues<RetentionKind>().Select(kind => kind.ToString().ToLowerInvariant())];

    /// <summary>Whether the engine has a policy of that name; case does not matter.</summary>
    public static bool IsKnown(string name) => Kinds.ContainsKey(name);

    /// <summary>A new policy for one cache.</summary>
    /// <exception cref="ArgumentException">There is no policy of that name.</exception>
    public static IRetentionPolicy<SimulatedBlock> Create(string name) =>
        Kinds.TryGetValue(name, out var kind)
            ? RetentionPolicies.Create<SimulatedBlock>(kind)
            : throw new ArgumentException($"'{name}' is no policy; there are {string.Join(", ", Names)}", nameof(name));
}
