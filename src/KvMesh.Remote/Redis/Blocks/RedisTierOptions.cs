using System.ComponentModel.DataAnnotations;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>The Redis server that keeps blocks for all nodes. Bound from <c>Mesh:RedisBlocks</c>; every value is checked once, at start.</summary>
public sealed class RedisTierOptions
{
    /// <summary>Longest prefix; it is part of every key in Redis.</summary>
    public const int MaxNameLength = 64;

    private static readonly TimeSpan LongestTime = TimeSpan.FromDays(20);

    /// <summary><c>host:port</c> or the path of a Unix socket; empty: there is no such tier. One server, without TLS: see OPERATING.</summary>
    public string Address { get; set; } = "";

    /// <summary>User of Redis' ACL; empty: the default user.</summary>
    [MaxLength(256)]
    public string User { get; set; } = "";

    /// <summary>File with the password, which nobody else may read; empty: no AUTH is sent.</summary>
    public string PasswordFile { get; set; } = "";

    /// <summary>Number of the database.</summary>
    [Range(0, 65535)]
    public int Database { get; set; }

    /// <summary>First part of every key in Redis; the name of the cluster is the second.</summary>
    public string Prefix { get; set; } = "kvmesh";

    /// <summary>How long Redis keeps a block that nobody writes again. A node that would write it again renews it.</summary>
    public TimeSpan TimeToLive { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Most time for a connection to be made and greeted.</summary>
    public TimeSpan ConnectDeadline { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Most time for one step with up to 8 MiB of payload; a block that clients wait for has its own, shorter deadline as well.</summary>
    public TimeSpan Deadline { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Most time that a prefix match waits for one round of up to 32 questions.</summary>
    public TimeSpan MatchDeadline { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Most connections of this node, those that write included.</summary>
    [Range(2, 256)]
    public int Connections { get; set; } = 8;

    /// <summary>Most payload bytes on their way from Redis at a time; a block beyond that is a miss.</summary>
    [Range(1, long.MaxValue)]
    public long MaxBytesInFlight { get; set; } = 256L << 20;

    /// <summary>
    /// Largest part of one processor that encoding blocks for Redis may take, where a policy wants them encoded; what is beyond it is written as it
    /// is. 0: nothing is encoded any more, and what was is still read.
    /// </summary>
    [Range(0.0, 1.0)]
    public double EncodeShare { get; set; } = 0.5;

    /// <summary>
    /// Files with AES-256 keys, 32 bytes or 64 hexadecimal digits each, which nobody else may read. The first encrypts what is written, all
    /// decrypt what is read. Empty: payloads lie in Redis as they are.
    /// </summary>
    public IList<string> KeyFiles { get; } = [];

    /// <summary>Whether there is such a tier.</summary>
    public bool IsEnabled() => Address.Length > 0;

    /// <summary>Everything that is wrong with these values, by name, value and limit, and without touching the network.</summary>
    public IEnumerable<string> Validate(string section)
    {
        if (!IsEnabled())
        {
            yield break;
        }

        if (AddressError() is { } error)
        {
            yield return $"{section}:Address is \"{Address}\": {error}";
        }

        if (Prefix.Length is 0 or > MaxNameLength || Prefix.Any(character => !char.IsAsciiLetterOrDigit(character) && !"-_.".Contains(character)))
        {
            yield return $"{section}:Prefix is \"{Prefix}\"; it must be 1 to {MaxNameLength} of letters, digits, '-', '_' and '.'.";
        }

        foreach (var (name, value, least) in Times())
        {
            if (value < least || value > LongestTime)
            {
                yield return $"{section}:{name} is {value}; it must be {least} to {LongestTime}.";
            }
        }

        foreach (var problem in FileErrors(section))
        {
            yield return problem;
        }
    }

    private IEnumerable<(string Name, TimeSpan Value, TimeSpan Least)> Times()
    {
        yield return (nameof(TimeToLive), TimeToLive, TimeSpan.FromSeconds(1));
        yield return (nameof(ConnectDeadline), ConnectDeadline, TimeSpan.FromMilliseconds(1));
        yield return (nameof(Deadline), Deadline, TimeSpan.FromMilliseconds(1));
        yield return (nameof(MatchDeadline), MatchDeadline, TimeSpan.FromMilliseconds(1));
    }

    private IEnumerable<string> FileErrors(string section)
    {
        if (PasswordFile.Length > 0 && SecretFile.ErrorOf(PasswordFile, SecretFile.ReadPassword) is { } password)
        {
            yield return $"{section}:PasswordFile is {PasswordFile}: {password}";
        }

        foreach (var file in KeyFiles)
        {
            if (SecretFile.ErrorOf(file, SecretFile.ReadKey) is { } key)
            {
                yield return $"{section}:KeyFiles has {file}: {key}";
            }
        }
    }

    private string? AddressError()
    {
        try
        {
            StreamEndpoint.Parse(Address);
            return null;
        }
        catch (FormatException exception)
        {
            return exception.Message;
        }
    }
}
