using System.Buffers.Binary;
using KvMesh.TestKit;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Tests.Model;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string FilePath => Path.Combine(_directory.Path, "model.safetensors");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Gives_each_tensor_as_it_was_written()
    {
        byte[] first = [1, 2, 3, 4, 5, 6, 7, 8];
        byte[] second = [9, 10];
        using var file = Open(SafetensorsWriter.File(("a.b", "F32", [2, 1], first), ("empty", "I64", [0, 7], []), ("c", "BF16", [], second)));

        Assert.Equal(["a.b", "c", "empty"], file.Tensors.Keys.Order());
        Assert.Equal(TensorElement.F32, file.Tensors["a.b"].Element);
        Assert.Equal([2, 1], file.Tensors["a.b"].Shape.ToArray());
        Assert.Equal(first, file.Bytes(file.Tensors["a.b"], 0, 8).ToArray());
        Assert.Equal([4, 5], file.Bytes(file.Tensors["a.b"], 3, 2).ToArray());
        Assert.Equal(second, file.Bytes(file.Tensors["c"], 0, 2).ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Bytes(file.Tensors["c"], 1, 2).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Bytes(file.Tensors["c"], -1, 1).Length);
    }

    [Theory]
    [InlineData(8UL << 30, "header length is 8589934592 bytes; it must be from 2 to 12")]
    [InlineData(ulong.MaxValue, "header length is 18446744073709551615 bytes")]
    [InlineData(13, "header length is 13 bytes")]
    [InlineData(0, "header length is 0 bytes")]
    public void Refuses_a_header_length_beyond_the_file(ulong length, string problem)
    {
        var bytes = new byte[20];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);

        Refuses(bytes, problem);
    }

    [Theory]
    [InlineData(0, "the file is empty")]
    [InlineData(7, "the file has 7 bytes; a safetensors file begins with a length of 8")]
    public void Refuses_a_file_without_a_header(int bytes, string problem) => Refuses(new byte[bytes], problem);

    [Theory]
    [InlineData("""{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}""", "tensor 'a': dtype 'F31' is unknown")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "tensor 'a' appears twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "tensor 'b' at byte 4 overlaps the one before, which ends at 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "tensor 'a' at byte 4 leaves a gap behind the one before, which ends at 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "tensors end at byte 4; the file has 8 behind its header")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}""", "tensor 'a' ends at byte 0 + 12; the file has 8 behind its header")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "data_offsets [0, 8] must span the 12 bytes of F32 [3]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "data_offsets [8, 0] must span the 8 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]}}""", "has more than 9223372036854775807 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775800,9223372036854775807]}}""", "must span the 8 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}""", "data_offsets of 'a': 18446744073709551615 must be a whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "shape of 'a': -2 must be a whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}""", "shape of 'a': 1.5 must be a whole number")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,8]}}""", "shape of 'a' has more than 8 numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", "tensor 'a' needs dtype, shape and two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}""", "tensor 'a' needs dtype, shape and two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}}""", "tensor 'a': field 'more' is unknown")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "field 'dtype' is unknown or appears twice")]
    [InlineData("""{"a":7}""", "tensor 'a' must be a StartObject, not a Number")]
    [InlineData("""[]""", "the header must be a StartObject, not a StartArray")]
    [InlineData("""{"a":""", "is not the JSON of safetensors")]
    [InlineData("""{} {}""", "is not the JSON of safetensors")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", "'__metadata__' appears twice")]
    public void Refuses_a_header_that_is_not_as_it_should_be(string header, string problem) => Refuses(SafetensorsWriter.Raw(header, new byte[8]), problem);

    [Fact]
    public void Refuses_a_file_that_is_not_there() =>
        Assert.Contains("cannot be read", Assert.Throws<ModelFileException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_damaged_file_is_read_or_refused_and_nothing_else()
    {
        var whole = SafetensorsWriter.File(("a", "F32", [2, 3], new byte[24]), ("b", "BF16", [5], new byte[10]), ("c", "I64", [1], new byte[8]));
        Fuzz.Run(800, random =>
        {
            var bytes = Fuzz.Damage(random, whole);
            try
            {
                using var file = Open(bytes);
                foreach (var tensor in file.Tensors.Values)
                {
                    file.Bytes(tensor, 0, (int)tensor.Bytes).ToArray();
                }
            }
            catch (ModelFileException)
            {
                // What a damaged file is for.
            }
        });
    }

    [Fact]
    public void Several_files_are_one_model_by_their_index()
    {
        Write("one.safetensors", SafetensorsWriter.File(("a", "F32", [1], new byte[4])));
        Write("two.safetensors", SafetensorsWriter.File(("b", "F32", [2], new byte[8]), ("unused", "U8", [1], new byte[1])));
        WriteIndex("""{"metadata":{"total_size":12},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}""");
        using var files = TensorFiles.Open(_directory.Path);

        Assert.Equal(4, files.Require("a", 1).Tensor.Bytes);
        Assert.Equal(8, files.Require("b", 2).Tensor.Bytes);
        Assert.False(files.Contains("unused"));
        Assert.Contains("tensor 'unused' is missing; it should be [1]", Assert.Throws<ModelFileException>(() => files.Require("unused", 1)).Message, StringComparison.Ordinal);
        Assert.Contains("tensor 'b' has the shape [2]; config.json asks for [3]", Assert.Throws<ModelFileException>(() => files.Require("b", 3)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"../one.safetensors"}}""", "'../one.safetensors' must be a file of the same folder")]
    [InlineData("""{"weight_map":{"a":"/etc/passwd"}}""", "'/etc/passwd' must be a file of the same folder")]
    [InlineData("""{"weight_map":{"a":".."}}""", "'..' must be a file of the same folder")]
    [InlineData("""{"weight_map":{"a":7}}""", "the file of 'a' must be a string")]
    [InlineData("""{"weight_map":{"b":"one.safetensors"}}""", "'b' is not in")]
    [InlineData("""{"weight_map":{"a":"none.safetensors"}}""", "none.safetensors: cannot be read")]
    [InlineData("""{"weight_map":[]}""", "'weight_map' must be an object")]
    [InlineData("""{}""", "'weight_map' is missing")]
    [InlineData("""{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}""", "is no JSON")]
    public void Refuses_an_index_that_leads_nowhere(string index, string problem)
    {
        Write("one.safetensors", SafetensorsWriter.File(("a", "F32", [1], new byte[4])));
        WriteIndex(index);

        Assert.Contains(problem, Assert.Throws<ModelFileException>(() => TensorFiles.Open(_directory.Path)).Message, StringComparison.Ordinal);
    }

    private void Refuses(byte[] bytes, string problem)
    {
        var failure = Assert.Throws<ModelFileException>(() => Open(bytes));
        Assert.StartsWith(FilePath, failure.Message, StringComparison.Ordinal);
        Assert.Contains(problem, failure.Message, StringComparison.Ordinal);
    }

    private SafetensorsFile Open(byte[] bytes)
    {
        File.WriteAllBytes(FilePath, bytes);
        return SafetensorsFile.Open(FilePath);
    }

    private void Write(string name, byte[] bytes) => File.WriteAllBytes(Path.Combine(_directory.Path, name), bytes);

    private void WriteIndex(string text) => File.WriteAllText(Path.Combine(_directory.Path, "model.safetensors.index.json"), text);
}
