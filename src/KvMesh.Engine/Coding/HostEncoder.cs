using System.Collections.Concurrent;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;

namespace KvMesh.Engine.Coding;

/// <summary>
/// Gives blocks in RAM a copy in fewer bytes beside their own, so that their raw extent need not stay. In the background, and, where there is no disk, on the
/// thread of whoever needs room and would have a block leave for it: both within one share of the processors. Any thread.
/// </summary>
/// <param name="budget">The share; null: as the options say.</param>
internal sealed class HostEncoder(
    IPayloadCoder coder, BlockRegistry registry, Evictor evictor, CodingCounters counters, HostCodingOptions options, TimeProvider time,
    EncodeBudget? budget = null) : IDisposable
{
    /// <summary>Blocks that need no encoding and are passed by whoever looks for one that does.</summary>
    private const int MaxPassed = 64;

    /// <summary>Time between two looks at what waits.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(10);

    private readonly EncodeBudget _budget = budget ?? new(options.EncodeShare, time);
    private readonly ConcurrentBag<PayloadEncoder> _encoders = [];
    private int _made;

    private enum Outcome
    {
        Encoded,

        /// <summary>The policy does not want it, or it cannot be encoded: it stays as it is.</summary>
        Refused,

        /// <summary>Not now: it is being moved, or there is no room.</summary>
        Later,
    }

    /// <summary>Encodes what waits, in arenas that are as full as the options say, until nothing does or the share is spent. Any number of threads.</summary>
    public void Step(IReadOnlyList<HostTier> hosts, Func<bool> isStopping)
    {
        foreach (var host in hosts)
        {
            if (host.AllocatedBytes < options.EncodeFrom * host.CapacityBytes)
            {
                continue;
            }

            foreach (var tenant in host.Tenants)
            {
                for (var left = tenant.Raw!.Waiting; left > 0 && !isStopping() && _budget.HasTime && tenant.Raw.TakeWaiting() is { } block; left--)
                {
                    Encode(block);
                }
            }
        }
    }

    /// <summary>Encodes the block of a tenant that waits longest. False: none could be now.</summary>
    public bool EncodeNext(Tenant tenant)
    {
        for (var passed = 0; passed < MaxPassed && _budget.HasTime && tenant.Raw!.TakeWaiting() is { } block; passed++)
        {
            if (Encode(block) is var outcome && outcome != Outcome.Refused)
            {
                return outcome == Outcome.Encoded;
            }
        }

        return false;
    }

    public void Dispose()
    {
        while (_encoders.TryTake(out var encoder))
        {
            encoder.Dispose();
        }
    }

    private Outcome Encode(Block block)
    {
        if (!block.TryOpen())
        {
            return Postponed(block);
        }

        using var read = new BlockRead(null!, block, mustVerify: false);
        if (Volatile.Read(ref block.Encoded) is not null)
        {
            block.Tenant.Raw!.AddShadow(block);
            return Outcome.Encoded;
        }

        if (Rent() is not { } encoder)
        {
            return Postponed(block);
        }

        try
        {
            var form = encoder.Encode(block);
            if (encoder.WasLate)
            {
                return Postponed(block);
            }

            var bytes = form.ExtentBytes + EncodedIndex.Bytes;
            return form.IsNone || Extent.RoundUp(bytes) >= block.Extent.AllocatedBytes ? Outcome.Refused : Place(block, form, bytes, encoder);
        }
        finally
        {
            _encoders.Add(encoder);
        }
    }

    private Outcome Place(Block block, in EncodedExtent form, int bytes, PayloadEncoder encoder)
    {
        if (!evictor.TryAllocate(block.Tenant, bytes, out var extent, mayEncode: false))
        {
            return Postponed(block);
        }

        var index = new EncodedIndex(
            block.PayloadBytes, form.Lossy?.TableChecksum ?? block.TableChecksum, block.TableChecksum, form.Codec, form.Lossy?.Loss ?? block.Loss);
        var copy = EncodedCopy.Write(block.Tenant, extent, form, index, encoder.MemoryOf(form));
        if (!registry.TryPlaceEncoded(block, copy))
        {
            copy.Close();
            return Outcome.Refused;
        }

        block.Tenant.Raw!.EncodedBytes = extent.AllocatedBytes;
        block.Tenant.Raw.AddShadow(block);
        return Outcome.Encoded;
    }

    /// <summary>The block waits again, if it is still there.</summary>
    private static Outcome Postponed(Block block)
    {
        if (block.IsResident)
        {
            block.Tenant.Raw!.AddWaiting(block);
        }

        return Outcome.Later;
    }

    /// <summary>An encoder, each of which has memory for its largest block; null: as many as may be are at work.</summary>
    private PayloadEncoder? Rent()
    {
        if (_encoders.TryTake(out var idle))
        {
            return idle;
        }

        if (Interlocked.Increment(ref _made) <= options.EffectiveEncoders)
        {
            return new PayloadEncoder(coder, counters, _budget, time);
        }

        Interlocked.Decrement(ref _made);
        return null;
    }
}
