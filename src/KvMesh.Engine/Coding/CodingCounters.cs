using System.Collections.Concurrent;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>Why a block that was to be encoded was written as it is. Names are labels of figures: append only.</summary>
internal enum CodingFallback
{
    UnknownLayout,
    WrongSize,

    /// <summary>It would not have been shorter by a granule, or the codec could not.</summary>
    NoGain,

    /// <summary>Encoding has taken its share of the processor.</summary>
    NoTime,

    /// <summary>What was encoded does not decode to the bytes of the block.</summary>
    Mismatch,

    /// <summary>A codec lost more than the policy allows, and the next safer one was tried, at last none.</summary>
    OverCeiling,
}

/// <summary>What was encoded and decoded, by codec. Fields are only ever added to, with <see cref="Interlocked"/>.</summary>
internal sealed class CodingCounters
{
    /// <summary>Most codecs that are counted by name: a coder has a few dozen.</summary>
    private const int MaxCodecs = 256;

    private readonly ConcurrentDictionary<string, CodecCounts> _codecs = new(StringComparer.Ordinal);
    private readonly long[] _fallbacks = new long[Enum.GetValues<CodingFallback>().Length];
    private long _undecodable;

    public void NoteEncoded(string codec, long fromBytes, long toBytes, TimeSpan elapsed)
    {
        if (CountsOf(codec) is { } counts)
        {
            Interlocked.Increment(ref counts.EncodedBlocks);
            Interlocked.Add(ref counts.EncodedFromBytes, fromBytes);
            Interlocked.Add(ref counts.EncodedToBytes, toBytes);
            Interlocked.Add(ref counts.EncodeTicks, elapsed.Ticks);
        }
    }

    /// <summary>A block was encoded with a loss.</summary>
    public void NoteLost(string codec, Loss loss)
    {
        if (CountsOf(codec) is { } counts)
        {
            lock (counts)
            {
                counts.Lost = counts.Lost.With(loss);
            }
        }
    }

    public void NoteDecoded(string codec, long bytes, TimeSpan elapsed)
    {
        if (CountsOf(codec) is { } counts)
        {
            Interlocked.Increment(ref counts.DecodedBlocks);
            Interlocked.Add(ref counts.DecodedBytes, bytes);
            Interlocked.Add(ref counts.DecodeTicks, elapsed.Ticks);
        }
    }

    public void NoteFallback(CodingFallback reason) => Interlocked.Increment(ref _fallbacks[(int)reason]);

    /// <summary>So many codecs lost more than the policy allows.</summary>
    public void NoteOverCeiling(int codecs)
    {
        if (codecs > 0)
        {
            Interlocked.Add(ref _fallbacks[(int)CodingFallback.OverCeiling], codecs);
        }
    }

    public void NoteUndecodable() => Interlocked.Increment(ref _undecodable);

    public CodingSnapshot ToSnapshot() => new(
        [
            .. _codecs.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => new CodecSnapshot(
                pair.Key,
                Interlocked.Read(ref pair.Value.EncodedBlocks),
                Interlocked.Read(ref pair.Value.EncodedFromBytes),
                Interlocked.Read(ref pair.Value.EncodedToBytes),
                TimeSpan.FromTicks(Interlocked.Read(ref pair.Value.EncodeTicks)),
                Interlocked.Read(ref pair.Value.DecodedBlocks),
                Interlocked.Read(ref pair.Value.DecodedBytes),
                TimeSpan.FromTicks(Interlocked.Read(ref pair.Value.DecodeTicks))) { Lost = LostOf(pair.Value) }),
        ],
        [.. Enum.GetValues<CodingFallback>().Select(reason => new FallbackSnapshot(NameOf(reason), Interlocked.Read(ref _fallbacks[(int)reason])))],
        Interlocked.Read(ref _undecodable));

    private static LossSums LostOf(CodecCounts counts)
    {
        lock (counts)
        {
            return counts.Lost;
        }
    }

    private static string NameOf(CodingFallback reason) => reason switch
    {
        CodingFallback.UnknownLayout => "unknown-layout",
        CodingFallback.WrongSize => "wrong-size",
        CodingFallback.NoGain => "no-gain",
        CodingFallback.NoTime => "no-time",
        CodingFallback.OverCeiling => "over-ceiling",
        _ => "mismatch",
    };

    private CodecCounts? CountsOf(string codec) =>
        _codecs.TryGetValue(codec, out var counts) ? counts : _codecs.Count < MaxCodecs ? _codecs.GetOrAdd(codec, _ => new CodecCounts()) : null;

    private sealed class CodecCounts
    {
        public long EncodedBlocks;
        public long EncodedFromBytes;
        public long EncodedToBytes;
        public long EncodeTicks;
        public long DecodedBlocks;
        public long DecodedBytes;
        public long DecodeTicks;

        /// <summary>Under the lock of this object.</summary>
        public LossSums Lost;
    }
}
