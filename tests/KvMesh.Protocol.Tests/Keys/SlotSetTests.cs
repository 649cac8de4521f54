using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Tests.Keys;

public sealed class SlotSetTests
{
    [Fact]
    public void Digests_fall_into_all_slots_about_equally()
    {
        var counts = new int[DigestSlots.Count];
        var key = new byte[8];
        for (var index = 0; index < DigestSlots.Count * 100; index++)
        {
            BitConverter.TryWriteBytes(key, (long)index);
            counts[DigestSlots.Of(KeyDigest.Compute(new DigestSecret(1, 2), 3, key))]++;
        }

        Assert.InRange(counts.Min(), 50, 100);
        Assert.InRange(counts.Max(), 100, 150);
    }

    [Fact]
    public void Keeps_what_was_added_and_survives_the_wire()
    {
        var set = new SlotSet();
        Assert.True(set.IsEmpty);
        set.Add(0);
        set.Add(9);
        set.Add(DigestSlots.Count - 1);
        Assert.Equal(3, set.Count);
        Assert.Equal(1, set.Bits[0]);
        Assert.Equal(2, set.Bits[1]);
        Assert.True(set.Contains(9));
        Assert.False(set.Contains(10));
        Assert.Equal(set, new SlotSet(set.Bits));
        Assert.True(SlotSet.All().IsFull);
        Assert.Equal(DigestSlots.Count - 3, SlotSet.All().Except(set).Count);
        Assert.True(SlotSet.All().Except(set).Union(set).IsFull);
    }
}
