using System.Diagnostics.CodeAnalysis;

namespace KvMesh.Protocol.Sequences;

/// <summary>Maxima of sequences, each with its reason, and the rules of their names.</summary>
public static class SequenceLimits
{
    /// <summary>Largest stored head: one packet of any network, so that a step costs the same whatever the sequence holds.</summary>
    public const int MaxHeadBytes = 1024;

    /// <summary>Longest name: it stands in heads of forks, in keys of stores and in addresses.</summary>
    public const int MaxNameCharacters = 96;

    /// <summary>Longest name of a holder; node ids have the same.</summary>
    public const int MaxHolderBytes = 64;

    /// <summary>Longest scope, so that a head with every other field at its longest stays below <see cref="MaxHeadBytes"/>.</summary>
    public const int MaxScopeBytes = 384;

    /// <summary>Most blocks of one segment: as many as one request names.</summary>
    public const int MaxSegmentBlocks = Limits.MaxBlocksPerRequest;

    /// <summary>Most segments of one sequence, those of its origin included: its rows fill 112 MiB then.</summary>
    public const int MaxSegments = 1 << 20;

    /// <summary>Most blocks of one sequence; positions of blocks are 32 bits wide.</summary>
    public const long MaxBlocks = int.MaxValue;

    /// <summary>Most canonical parts of a block.</summary>
    public const int MaxParts = 4096;

    /// <summary>Most copies that a pin asks for.</summary>
    public const int MaxReplicas = 16;

    /// <summary>Request ids that a head remembers: more than a client has under way for one sequence.</summary>
    public const int RememberedRequests = 8;

    /// <summary>Longest line of forks of forks: reading the first row visits each of them.</summary>
    public const int MaxForkDepth = 16;

    /// <summary>Most forks of one sequence that live at a time.</summary>
    public const int MaxForks = 65_535;

    /// <summary>Most rows of one page: 112 KiB, which fits into a head of the native protocol.</summary>
    public const int MaxPageRows = 1024;

    /// <summary>Most sequences of one page of a listing.</summary>
    public const int MaxPageSequences = 256;

    /// <summary>Most commands that wait for one sequence on one node; one more is refused at once.</summary>
    public const int MaxWaitingCommands = 256;

    /// <summary>Whether this is the name of a sequence: 1 to 96 of A–Z, a–z, 0–9, '.', '-', '_' and ':', beginning with a letter or digit.</summary>
    public static bool IsName([NotNullWhen(true)] string? name, [NotNullWhen(false)] out string? error)
    {
        error = name switch
        {
            null or "" => $"name is empty; it has 1 to {MaxNameCharacters} characters.",
            { Length: > MaxNameCharacters } => $"name has {name.Length} characters; the limit is {MaxNameCharacters}.",
            _ when !char.IsAsciiLetterOrDigit(name[0]) => "name begins with neither a letter nor a digit.",
            _ when name.AsSpan().ContainsAnyExcept(Allowed) => "name may contain A–Z, a–z, 0–9, '.', '-', '_' and ':' only.",
            _ => null,
        };
        return error is null;
    }

    private static readonly System.Buffers.SearchValues<char> Allowed =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:");
}
