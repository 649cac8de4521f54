using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Tests.Model;

public sealed unsafe class KernelTests
{
    public static TheoryData<SimdLevel> Levels => [.. SimdLevels.OfThisProcessor];

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_result_is_one_chain_of_fused_steps_whatever_is_computed_with_it(SimdLevel level)
    {
        foreach (var isBFloat in (bool[])[false, true])
        {
            foreach (var (rows, outputs, depth) in ((int, int, int)[])[(1, 33, 50), (2, 32, 7), (5, 70, 1030), (8, 64, 64), (13, 31, 2100), (24, 40, 129)])
            {
                Check(level, isBFloat, rows, outputs, depth);
            }
        }
    }

    [Fact]
    public void Norms_and_activations_are_those_of_the_formulas()
    {
        using var row = Random(1, 48);
        using var weights = Random(2, 48);
        using var result = new NativeBuffer<float>(48);
        Lanes16.RmsNorm(row.Start, weights.Start, result.Start, 48, 1e-5f);
        var scale = 1 / Math.Sqrt(row.Span.ToArray().Average(value => (double)value * value) + 1e-5);
        for (var at = 0; at < 48; at++)
        {
            Assert.Equal(row.Start[at] * scale * weights.Start[at], result.Start[at], 1e-5);
        }

        Lanes16.SwiGlu(row.Start, weights.Start, result.Start, 48);
        for (var at = 0; at < 48; at++)
        {
            Assert.Equal(row.Start[at] / (1 + Math.Exp(-row.Start[at])) * weights.Start[at], result.Start[at], 1e-6);
        }
    }

    [Theory]
    [InlineData(-200)]
    [InlineData(200)]
    public void An_activation_far_from_zero_is_no_nan(float gate)
    {
        using var row = Random(1, 16);
        row.Span.Fill(gate);
        Lanes16.SwiGlu(row.Start, row.Start, row.Start, 16);

        Assert.Equal(gate < 0 ? 0 : gate * gate, row.Start[0], 1e-3f);
    }

    [Fact]
    public void Exponentials_do_not_see_what_lies_behind_their_count()
    {
        for (var count = 1; count <= 50; count++)
        {
            using var row = Random(count, 64);
            row.Span.Slice(0, count).Sort();
            row.Span[count..].Fill(float.NaN);
            var expected = row.Span[..count].ToArray().Select(value => Math.Exp(value - row.Start[count - 1])).ToArray();
            var scale = Lanes16.Exponentials(row.Start, count);

            Assert.Equal(1 / expected.Sum(), scale, 1e-5);
            Assert.Equal(expected, row.Span[..count].ToArray().Select(value => (double)value), (one, other) => Math.Abs(one - other) < 1e-6);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void A_team_computes_each_part_once(int threads)
    {
        using var team = new ComputeTeam(threads);
        for (var round = 0; round < 3000; round++)
        {
            var parts = round % 40;
            var counts = new int[parts];
            team.Run(parts, (part, worker) =>
            {
                Assert.InRange(worker, 0, threads - 1);
                Interlocked.Increment(ref counts[part]);
            });

            Assert.All(counts, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void A_team_throws_what_a_part_threw_and_goes_on()
    {
        using var team = new ComputeTeam(3);
        var done = 0;
        var failure = Assert.Throws<InvalidDataException>(() => team.Run(20, (part, _) =>
        {
            Interlocked.Increment(ref done);
            if (part == 7)
            {
                throw new InvalidDataException("part 7");
            }
        }));

        Assert.Equal(("part 7", 20), (failure.Message, done));
        team.Run(20, (_, _) => Interlocked.Increment(ref done));
        Assert.Equal(40, done);
    }

    private static NativeBuffer<float> Random(int seed, long count)
    {
        var random = new Random(seed);
        var buffer = new NativeBuffer<float>(count);
        foreach (ref var value in buffer.Span)
        {
            value = (random.NextSingle() * 4) - 2;
        }

        return buffer;
    }

    private static void Check(SimdLevel level, bool isBFloat, int rows, int outputs, int depth)
    {
        using var input = Random(rows, (long)rows * depth);
        using var weights = Random(outputs, (long)outputs * depth);
        using var packed = new NativeBuffer<float>(PackedRows.Count(rows, depth));
        using var scratch = new ScratchBuffer();
        using var matrix = new PackedMatrix(outputs, depth, isBFloat);
        var bias = new float[outputs];
        bias.AsSpan().Fill(0.25f);
        matrix.SetBias(bias, 0);
        for (var output = 0; output < outputs; output++)
        {
            var row = weights.Span.Slice(output * depth, depth);
            if (isBFloat)
            {
                var words = row.ToArray().Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)).ToArray();
                words.Select(word => BitConverter.UInt32BitsToSingle((uint)word << 16)).ToArray().CopyTo(row);
                matrix.SetRow(output, System.Runtime.InteropServices.MemoryMarshal.AsBytes(words.AsSpan()));
            }
            else
            {
                matrix.SetRow(output, System.Runtime.InteropServices.MemoryMarshal.AsBytes(row));
            }

            var read = new float[depth];
            matrix.ReadRow(output, read);
            Assert.True(row.SequenceEqual(read));
        }

        var rowsOfInput = new PackedRows(packed.Start, rows, depth);
        for (var row = 0; row < rows; row++)
        {
            rowsOfInput.Set(row, input.Start + ((long)row * depth));
        }

        using var results = new NativeBuffer<float>((long)rows * matrix.PaddedOutputs);
        for (var panel = 0; panel < matrix.PanelCount; panel++)
        {
            matrix.MultiplyPanel(panel, rowsOfInput, results.Start, level, scratch);
        }

        for (var row = 0; row < rows; row++)
        {
            for (var output = 0; output < outputs; output++)
            {
                var sum = 0f;
                for (var at = 0; at < depth; at++)
                {
                    sum = MathF.FusedMultiplyAdd(input.Start[(row * depth) + at], weights.Start[(output * depth) + at], sum);
                }

                Assert.Equal(sum + 0.25f, results.Start[(row * matrix.PaddedOutputs) + output]);
            }
        }
    }
}
