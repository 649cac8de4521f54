using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>What comes out of a Redis that others write to as well: heads and names with any damage, also behind a right checksum.</summary>
public sealed class RecordFuzzTests
{
    private static readonly RecordHead Head = new(1, 2, 0, 0, (9 << 20) + 5, 12, 40);

    [Fact]
    public void Damaged_heads_are_refused_or_have_lengths_that_can_be() => Fuzz.Run(20_000, random =>
    {
        var bytes = new byte[RecordHead.Bytes];
        Head.Write(bytes);
        random.NextBytes(bytes.AsSpan(random.Next(40, 56), random.Next(1, 5)));
        random.NextBytes(bytes.AsSpan(6, random.Next(3)));
        if (random.Next(4) != 0)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(60), Crc32C.Compute(bytes.AsSpan(0, 60)));
        }

        if (RecordHead.TryRead(bytes, out var head))
        {
            Assert.InRange(head.PayloadBytes, 0, Limits.MaxBlockBytes);
            Assert.InRange(head.NameBytes, RecordNames.FixedBytes, RecordNames.MaxBytes);
            Assert.InRange(head.HeadValueBytes, RecordHead.Bytes, RecordHead.MaxValueBytes);
            Assert.Equal(RecordFlags.None, head.Flags & ~RecordFlags.All);
            Assert.InRange(head.CodedBytes, head.IsEncoded || head.IsLossy ? CodedIndex.Bytes : 0, CodedIndex.Bytes + Loss.Bytes);
            Assert.All(Enumerable.Range(1, head.Parts - 1), part => Assert.InRange(head.PartValueBytes(part), 1, RecordHead.MaxValueBytes));
        }
    });

    [Fact]
    public void Damaged_names_are_refused_or_add_up()
    {
        var names = new RecordNames { Tenant = "t"u8, Model = "model"u8, Revision = "r"u8, Key = "a key"u8, ParentKey = "its parent"u8, CompanionOf = "main"u8 };
        var bytes = new byte[names.Bytes];
        names.Write(bytes);
        Fuzz.Run(20_000, random =>
        {
            var damaged = Fuzz.Damage(random, bytes);
            if (RecordNames.TryRead(damaged, out var read))
            {
                Assert.Equal(damaged.Length, read.Bytes);
                Assert.InRange(read.Key.Length, 1, Limits.MaxKeyBytes);
            }
        });
    }
}
