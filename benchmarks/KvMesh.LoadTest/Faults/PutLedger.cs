using System.Collections.Concurrent;
using KvMesh.Cli.Workload;

namespace KvMesh.LoadTest.Faults;

/// <summary>How a put ended, as far as its caller knows.</summary>
internal enum PutEnd
{
    /// <summary>Nobody knows yet, or will know: a get may return it.</summary>
    Open = 0,

    /// <summary>The node said that it is readable.</summary>
    Acknowledged = 1,

    /// <summary>The node said that it did not keep these bytes: no get may return them.</summary>
    NotKept = 2,
}

/// <summary>
/// Every put of the workload and how it ended. Each put has a number of its own, which its payload carries in every line with the name of
/// its block; so it can be proved for each get that all its bytes are those of one put of that block that may be readable.
/// </summary>
internal sealed class PutLedger
{
    public const int MaxPayloadBytes = 4_000 + (MaxSteps * 1024);

    private const int MaxSteps = 119;
    private const ulong Seed = 0xFA17;

    private readonly ConcurrentDictionary<(long Block, uint Number), PutEnd> _puts = new();
    private uint _lastNumber;

    /// <summary>Payload bytes of a block: a few to a hundred and twenty KiB, on odd sizes.</summary>
    public static int PayloadBytes(long block) => 4_000 + ((int)((ulong)block * 7_919 % (MaxSteps + 1)) * 1024);

    /// <summary>Notes that a put begins and fills its payload. Returns its number.</summary>
    public uint Begin(long block, Span<byte> payload)
    {
        var number = Interlocked.Increment(ref _lastNumber);
        _puts[(block, number)] = PutEnd.Open;
        BlockPayload.Fill(payload, Identity(block, number));
        return number;
    }

    public void End(long block, uint number, PutEnd end) => _puts[(block, number)] = end;

    /// <summary>Null when the bytes are those of one put of the block; else what is wrong with them.</summary>
    public string? Judge(long block, ReadOnlySpan<byte> payload)
    {
        if (payload.Length != PayloadBytes(block))
        {
            return $"block {block} has {payload.Length} bytes; each put of it had {PayloadBytes(block)}";
        }

        var seen = BlockPayload.Identify(payload);
        var check = BlockPayload.Check(payload, Identity(block, seen.Version));
        if (!check.IsMatch)
        {
            return $"block {block}: {check.MismatchedBytes} wrong bytes from {check.FirstMismatch} on; they read as {check.Seen}";
        }

        return !_puts.TryGetValue((block, seen.Version), out var end) ? $"block {block}: there was no put {seen.Version} of it"
            : end == PutEnd.NotKept ? $"block {block}: put {seen.Version} came back, which the node said it had not kept"
            : null;
    }

    private static PayloadIdentity Identity(long block, uint number) => new((Seed << 48) + (ulong)block, number);
}
