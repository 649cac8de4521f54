using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>
/// An arena that was damaged between two processes: header page, descriptors, trailers and payloads, also with descriptors whose checksums are
/// right. The next process adopts what is whole, and a read gives the bytes that were put or nothing.
/// </summary>
public sealed class ArenaFuzzTests
{
    private const int Rounds = 40;
    private const int Blocks = 48;
    private const int MaxBlocks = 256;
    private static readonly int DescriptorBytes = MaxBlocks * BlockDescriptor.Bytes;

    [Fact]
    public void Any_damage_costs_blocks_and_never_gives_other_bytes()
    {
        using var node = new TestEngine(options =>
        {
            options.ArenaBytes = 1 << 20;
            options.MaxBlocks = MaxBlocks;
            options.RemoveArenaOnStop = false;
        });
        for (var index = 0; index < Blocks; index++)
        {
            Assert.Equal(SealStatus.Sealed, node.Put(Key(index), Payload(index), index % 2 == 0 ? BlockTraits.Opaque : BlockTraits.Content("model", "1", Key(index - 1))));
        }

        var path = node.Tenant.ArenaPath;
        node.Engine.Dispose();
        var template = File.ReadAllBytes(path);
        Fuzz.Run(Rounds, random =>
        {
            File.WriteAllBytes(path, Damage(random, template));
            node.Restart();
            for (var index = 0; index < Blocks; index++)
            {
                Assert.True(node.Get(Key(index)) is not { } read || read.AsSpan().SequenceEqual(Payload(index)), $"block {index} has other bytes");
            }

            Assert.Equal(SealStatus.Sealed, node.Put("new"u8, Payload(Blocks), BlockTraits.Opaque));
            Assert.Equal(Payload(Blocks), node.Get("new"u8));
        });
    }

    private static byte[] Key(int index) => Encoding.UTF8.GetBytes($"key {index}");

    private static byte[] Payload(int index) => TestBytes.Payload(index + 1, index * 97 % 9000);

    private static byte[] Damage(Random random, byte[] template)
    {
        var arena = template.ToArray();
        for (var changes = random.Next(1, 6); changes > 0; changes--)
        {
            switch (random.Next(6))
            {
                case 0:
                    random.NextBytes(arena.AsSpan(random.Next(Marshal.SizeOf<ArenaHeader>()), 1 + random.Next(8)));
                    break;
                case 1:
                    random.NextBytes(arena.AsSpan(Limits.GranuleBytes + random.Next(Blocks * BlockDescriptor.Bytes), 1 + random.Next(16)));
                    break;
                case 2:
                    random.NextBytes(arena.AsSpan(Limits.GranuleBytes + DescriptorBytes + random.Next(Blocks * 8192), 1 + random.Next(64)));
                    break;
                default:
                    Forge(random, arena);
                    break;
            }
        }

        return arena;
    }

    /// <summary>Changes fields of a descriptor, or makes it a copy of another, and puts its checksum right.</summary>
    private static void Forge(Random random, Span<byte> arena)
    {
        var slot = arena.Slice(Limits.GranuleBytes + (random.Next(Blocks) * BlockDescriptor.Bytes), BlockDescriptor.Bytes);
        if (random.Next(4) == 0)
        {
            arena.Slice(Limits.GranuleBytes + (random.Next(Blocks) * BlockDescriptor.Bytes), BlockDescriptor.Bytes).CopyTo(slot);
        }

        ref var descriptor = ref MemoryMarshal.AsRef<BlockDescriptor>(slot);
        switch (random.Next(7))
        {
            case 0:
                descriptor.ExtentOffset = random.Next(4) == 0 ? random.NextInt64() : random.Next(300) * Limits.GranuleBytes;
                break;
            case 1:
                descriptor.ExtentBytes = random.Next(4) == 0 ? random.NextInt64() : random.Next(20_000);
                break;
            case 2:
                descriptor.PayloadBytes = random.Next(4) == 0 ? -random.NextInt64() : random.Next(20_000);
                break;
            case 3:
                descriptor.KeyBytes = (ushort)random.Next(ushort.MaxValue);
                descriptor.ModelBytes = (byte)random.Next(256);
                break;
            case 4:
                descriptor.Flags = (BlockFlags)random.Next();
                break;
            case 5:
                descriptor.ExpiresAt = random.NextInt64() - (long.MaxValue / 2);
                descriptor.LeaseUntil = random.NextInt64();
                descriptor.LastUse = random.NextInt64() - (long.MaxValue / 2);
                break;
            default:
                descriptor.TableChecksum = (uint)random.Next();
                descriptor.ScopeEpoch = (uint)random.Next(3);
                break;
        }

        descriptor.Checksum = Crc32C.Compute(slot.Slice(BlockDescriptor.ChecksummedOffset, BlockDescriptor.ChecksummedBytes));
    }
}
