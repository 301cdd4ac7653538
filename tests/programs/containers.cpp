// build: args -std=c++20 -fno-builtin
// Standard containers grow before and after the takeover, keep what they hold, and are emptied
// again.

#include "support.h"
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

constexpr int half = 3000;

std::string text_of(int number) {
    std::ostringstream text;
    text << "the text of number " << number << ", longer than what a string keeps in itself";
    return text.str();
}

struct Containers {
    std::vector<int> numbers;
    std::vector<std::string> texts;
    std::deque<std::string> queue;
    std::list<std::string> list;
    std::map<int, std::string> map;
    std::unordered_map<std::string, int> index;
    std::shared_ptr<std::string> shared;
    std::function<std::string()> function;
    std::string long_text;

    void grow(int from, int to) {
        for (int i = from; i < to; i++) {
            std::string text = text_of(i);
            numbers.push_back(i);
            texts.push_back(text);
            queue.push_front(text);
            list.push_back(text);
            map.emplace(i, text);
            index[text] = i;
            long_text += static_cast<char>('a' + i % 26);
        }
    }

    void check(int count) const {
        CHECK(numbers.size() == static_cast<std::size_t>(count), "the vector holds %zu numbers",
              numbers.size());
        CHECK(long_text.size() == static_cast<std::size_t>(count), "the text has %zu characters",
              long_text.size());
        auto position = list.begin();
        for (int i = 0; i < count; i++, ++position) {
            std::string text = text_of(i);
            bool same = numbers[i] == i && texts[i] == text && queue[count - 1 - i] == text &&
                        *position == text && map.at(i) == text && index.at(text) == i &&
                        long_text[i] == static_cast<char>('a' + i % 26);
            CHECK(same, "element %d changed", i);
        }
        CHECK(*shared == "shared" + text_of(1), "the shared string changed");
        CHECK(function() == text_of(7) + text_of(8), "the function's captures changed");
    }

    void shrink() {
        while (numbers.size() > 100) {
            int last = numbers.back();
            index.erase(texts.back());
            map.erase(last);
            numbers.pop_back();
            texts.pop_back();
            queue.pop_front();
            list.pop_back();
            long_text.pop_back();
        }
        numbers.shrink_to_fit();
        texts.shrink_to_fit();
        queue.shrink_to_fit();
        long_text.shrink_to_fit();
        index.rehash(0);
    }
};

} // namespace

int main() {
    {
        Containers containers;
        containers.grow(0, half);
        containers.shared = std::make_shared<std::string>("shared" + text_of(1));
        std::string first = text_of(7), second = text_of(8);
        containers.function = [first, second] { return first + second; };
        containers.check(half);
        meet_harness();
        containers.check(half);
        containers.grow(half, 2 * half);
        containers.check(2 * half);
        Containers copy = containers;
        containers.shrink();
        containers.check(100);
        copy.check(2 * half);
        CHECK(in_current_heap(copy.texts.data()), "a copied vector is not mimalloc's");
    }
    return verdict();
}
